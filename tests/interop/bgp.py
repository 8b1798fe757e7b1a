#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The BGP and BFD cores against BIRD, FRR, GoBGP, OpenBGPD and ExaBGP: each goes through the scenes of bgp_rows.py
with our speaker, on a link of their own; a row a case. Scenes run beside each other.

usage: bgp.py [--full] [--list] [--jobs N] [PEER[:SCENE]...]

PEER and SCENE pick scenes; * stands for anything. --full (or TWINBORE_FULL=1) takes every scene with every peer that
can; otherwise each peer and each scene are there, but not each pair."""

import argparse
import dataclasses
import fnmatch
import multiprocessing
import os
import signal
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need  # noqa: E402
from lab.world import _child_setup as end_with_parent  # noqa: E402

from bgp_peers import PEERS  # noqa: E402
from bgp_rows import SCENES, Row, Trial  # noqa: E402

# Of the scenes that are not each peer's by default.
DEFAULT = {"*": ("plain",), "bird": ("accepted", "md5", "roles", "add-path", "extended", "their-limit"),
           "frr": ("restart", "bfd", "next-hop-6"), "gobgp": ("internal", "gtsm"), "openbgpd": ("accepted", "our-limit"),
           "exabgp": ("both",)}


def pairs(full):
    for name, peer in PEERS.items():
        for scene, (_, needs) in SCENES.items():
            wanted = full or scene in DEFAULT["*"] + DEFAULT[name]
            if wanted and (not needs or needs in peer.CAN):
                yield name, scene


def play(name, scene, pipe):
    """In a process of its own, whose end takes everything of it along."""
    end_with_parent()
    rows, where = [], ""
    try:
        with World("bgp") as world:
            trial = Trial(world, PEERS[name])
            try:
                SCENES[scene][0](trial)
            finally:
                rows = trial.rows
            if any(r.error for r in rows):
                world.failed()
                where = str(world.dir)
    except Exception:
        rows.append(Row("the scene itself", error=traceback.format_exc()))
    pipe.send(([dataclasses.asdict(r) for r in rows], where))
    pipe.close()


class Play:
    """A scene with a peer, under way."""

    def __init__(self, name, scene):
        self.name, self.scene = name, scene
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.get_context("fork").Process(target=play, args=(name, scene, theirs))
        self.process.start()
        theirs.close()

    def result(self):
        try:
            rows, where = self.pipe.recv()
        except EOFError:
            rows, where = [dataclasses.asdict(Row("the scene itself", error="ended without a word"))], ""
        self.process.join()
        return [Row(**r) for r in rows], where


def tell(tap, p):
    rows, where = p.result()
    for r in rows:
        text = f"{p.name:<9} {p.scene:<12} {r.name} ({r.seconds:.1f} s)" + (f": {r.figures}" if r.figures else "")
        with tap.case(text, timed=False):
            if r.error:
                raise LabError(r.error)
    if where:
        tap.say(f"logs: {where}")


def main():
    options = argparse.ArgumentParser(description="Our BGP core and five others.")
    options.add_argument("--full", action="store_true", default=bool(os.environ.get("TWINBORE_FULL")))
    options.add_argument("--list", action="store_true")
    options.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 2)
    options.add_argument("names", nargs="*", metavar="PEER[:SCENE]")
    o = options.parse_args()
    wanted = list(pairs(o.full or bool(o.names)))
    if o.names:
        wanted = [w for w in wanted if any(fnmatch.fnmatch(":".join(w), n if ":" in n else n + ":*") for n in o.names)]
    if o.list:
        for name, scene in wanted:
            print(f"{name:<9} {scene}")
        return 0
    need("ip", "nft", *{n for name, _ in wanted for n in PEERS[name].NEEDS})
    tap, under_way = Tap(), []

    def end(signum, _frame):
        for p in under_way:
            p.process.terminate()
        sys.exit(128 + signum)

    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, end)
    for name, scene in wanted:
        if len(under_way) >= o.jobs:
            tell(tap, under_way.pop(0))
        under_way.append(Play(name, scene))
    for p in under_way:
        tell(tap, p)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
