# SPDX-License-Identifier: Apache-2.0
"""screen: what the demonstration says, on a terminal or in a log."""

import os
import shutil
import sys
import textwrap

TTY = sys.stdout.isatty() and "NO_COLOR" not in os.environ
WIDTH = min(100, shutil.get_terminal_size((96, 24)).columns)


def style(text, code):
    return f"\033[{code}m{text}\033[0m" if TTY else text


def title(text):
    print()
    print(style(f"== {text} " + "=" * max(0, WIDTH - len(text) - 4), "1;36"), flush=True)


def say(text):
    """A paragraph of explanation."""
    print(textwrap.fill(" ".join(text.split()), WIDTH), flush=True)


def show(text):
    """Output of a program, as it is."""
    for line in text.strip("\n").splitlines():
        print("  " + line)
    sys.stdout.flush()


def command(text):
    print("  " + style("$ " + text, "1"), flush=True)


def result(good, text):
    mark = style("ok  ", "1;32") if good else style("FAIL", "1;31")
    print(textwrap.fill(text, WIDTH, initial_indent=f"  {mark} ", subsequent_indent="       "), flush=True)


class Live:
    """A block of lines that is drawn again in place; in a log, a single line now and then."""

    def __init__(self):
        self.n = 0
        self.calls = 0

    def draw(self, lines, short):
        if TTY:
            if self.n:
                sys.stdout.write(f"\033[{self.n}A")
            for line in lines:
                sys.stdout.write("\033[2K  " + line[:WIDTH - 2] + "\n")
            self.n = len(lines)
        elif self.calls % 4 == 3:
            print("  " + short)
        self.calls += 1
        sys.stdout.flush()
