# SPDX-License-Identifier: Apache-2.0
"""tap: one line a case, in the Test Anything Protocol that Meson reads."""

import contextlib
import shutil
import sys
import time
import traceback


class Skip(Exception):
    """The case cannot run here; the text says why."""


def need(*programs):
    """Ends with a skipped plan where a program is missing; tools/setup installs them all."""
    missing = [p for p in programs if not shutil.which(p, path="/usr/sbin:/sbin:/usr/bin:/bin")]
    if missing:
        print(f"1..0 # SKIP not installed: {', '.join(missing)} (tools/setup installs them)")
        sys.exit(0)


class Tap:
    """Counts cases. Use: `with tap.case("name") as say: ...; say("figure")`."""

    def __init__(self, world=None):
        self.world = world
        self.n = 0
        self.n_failed = 0
        self.last_ok = True

    @contextlib.contextmanager
    def case(self, name, timed=True):
        figures = []
        started = time.monotonic()
        self.n += 1
        self.last_ok = False
        try:
            yield figures.append
        except Skip as e:
            self.last_ok = True
            self._line("ok", name, f" # SKIP {e}")
            return
        except Exception as e:
            self.n_failed += 1
            if self.world:
                self.world.failed()
            self._line("not ok", name, "")
            self.say(f"{type(e).__name__}: {e}" if str(e) else traceback.format_exc())
            where = traceback.extract_tb(e.__traceback__)
            self.say("at " + " < ".join(f"{f.name}:{f.lineno}" for f in reversed(where[-4:])))
            for f in figures:
                self.say(f)
            return
        self.last_ok = True
        text = f"{name} ({time.monotonic() - started:.1f} s)" if timed else name
        if figures:
            text += ": " + ", ".join(str(f) for f in figures)
        self._line("ok", text, "")

    def _line(self, verdict, text, directive):
        text = text.replace("#", "no.").replace("\n", " ")
        print(f"{verdict} {self.n} - {text}{directive}", flush=True)

    @staticmethod
    def say(text):
        for line in str(text).rstrip().splitlines():
            print(f"# {line}", flush=True)

    def skip(self, name, why):
        self.n += 1
        self._line("ok", name, f" # SKIP {why}")

    def done(self):
        """Prints the plan; returns the exit status."""
        print(f"1..{self.n}", flush=True)
        if self.n_failed and self.world:
            self.say(f"logs: {self.world.dir}")
        return 1 if self.n_failed else 0
