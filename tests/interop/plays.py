# SPDX-License-Identifier: Apache-2.0
"""plays: scenes of a table that run beside each other, each in a process and a World of its own, and are told in
order: a row a case."""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import time
import traceback

from lab import LabError, World
from lab.world import _child_setup as end_with_parent


class Ended(Exception):
    """A vital row has failed."""


@dataclasses.dataclass
class Row:
    name: str
    seconds: float = 0
    error: str = ""
    figures: str = ""


class Stage:
    """Where a scene is played: it gathers the rows. `lines` is what a failed row shows besides."""

    def __init__(self, world):
        self.world = world
        self.rows = []

    def lines(self):
        return []

    @contextlib.contextmanager
    def row(self, name, vital=False):
        """`vital`: nothing after it makes sense without."""
        row = Row(name)
        self.rows.append(row)
        begun, figures = time.monotonic(), []
        try:
            yield figures.append
        except Exception as e:
            where = traceback.extract_tb(e.__traceback__)
            row.error = f"{type(e).__name__}: {e}\nat " + " < ".join(f"{f.name}:{f.lineno}" for f in reversed(where[-4:]))
            row.error += "\nours:\n  " + "\n  ".join(self.lines()[-12:])
        row.seconds = time.monotonic() - begun
        row.figures = ", ".join(figures)
        if vital and row.error:
            raise Ended


def _play(name, make, scene, pipe):
    end_with_parent()
    rows, where = [], ""
    try:
        with World(name) as world:
            stage = make(world)
            try:
                scene(stage)
            except Ended:
                pass
            finally:
                rows = stage.rows
            if any(r.error for r in rows):
                world.failed()
                where = str(world.dir)
    except Exception:
        rows.append(Row("the scene itself", error=traceback.format_exc()))
    pipe.send(([dataclasses.asdict(r) for r in rows], where))
    pipe.close()


class Play:
    """A scene under way: `scene(make(world))`. Its process takes everything of it along when it ends."""

    def __init__(self, label, name, make, scene):
        self.label = label
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.get_context("fork").Process(target=_play, args=(name, make, scene, theirs))
        self.process.start()
        theirs.close()

    def tell(self, tap):
        try:
            rows, where = self.pipe.recv()
        except EOFError:
            rows, where = [dataclasses.asdict(Row("the scene itself", error="ended without a word"))], ""
        self.process.join()
        for r in (Row(**x) for x in rows):
            text = f"{self.label} {r.name} ({r.seconds:.1f} s)" + (f": {r.figures}" if r.figures else "")
            with tap.case(text, timed=False):
                if r.error:
                    raise LabError(r.error)
        if where:
            tap.say(f"logs: {where}")


def run(tap, plays, jobs=0):
    """Plays (label, name of the world, make, scene), `jobs` at a time; tells them in their order."""
    under_way = []

    def end(signum, _frame):
        for p in under_way:
            p.process.terminate()
        sys.exit(128 + signum)

    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, end)
    for p in plays:
        # What is done is told; one that takes long does not hold the others up.
        while sum(x.process.is_alive() and not x.pipe.poll() for x in under_way) >= (jobs or (os.cpu_count() or 1) + 2):
            time.sleep(0.05)
        under_way.append(Play(*p))
        while under_way and under_way[0].pipe.poll():
            under_way.pop(0).tell(tap)
    for p in under_way:
        p.tell(tap)
    return tap.done()
