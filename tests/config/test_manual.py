#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages say what the programs do.

usage: test_manual.py CONFIG-KEYS TWINBORE DOCS-FOLDER

Every key of the schema stands in twinbore.yaml(5) with its type, default, bounds and words, and no
other; every command and option of the CLI stands in twinbore(1).
"""

import os
import re
import subprocess
import sys
import unittest

KEYS = TWINBORE = DOCS = None


def page(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as f:
        return f.read()


def plain(text):
    """What a reader sees, more or less: macros and escapes are taken out."""
    text = re.sub(r"^\.(Li|Va|Ql|Em|Ar|Pq|Xr|Fl|Op)\b", "", text, flags=re.M)
    text = re.sub(r" (Ql|Li|Va) ", " ", text)
    text = text.replace("\\(dq", '"').replace("\\&", "").replace(" - ", "--")
    return re.sub(r"\s+", " ", text)


class Configuration(unittest.TestCase):
    def setUp(self):
        out = subprocess.run([KEYS], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.keys = {}
        for line in out.splitlines():
            path, kind, required, default, bounds = line.split("\t")
            self.keys[path] = (kind, bool(required), default, bounds)
        self.items = {}
        # From one key's heading to the next, or to the next section.
        for part in re.split(r"^(?=\.It Va |\.S[hs] )", page("twinbore.yaml.5"), flags=re.M):
            head = re.match(r"\.It Va (\S+) : Ar (.*)\n", part)
            if head:
                self.assertNotIn(head[1], self.items)
                self.items[head[1]] = (head[2], plain(part))

    def test_all_keys_and_no_other(self):
        self.assertGreater(len(self.keys), 50)
        self.assertEqual(set(self.keys) - set(self.items), set(), "not in the manual page")
        self.assertEqual(set(self.items) - set(self.keys), set(), "not in the schema")

    def test_what_is_said_of_them(self):
        for path, (kind, required, default, bounds) in self.keys.items():
            with self.subTest(path):
                head, text = self.items[path]
                if kind in ("number", "duration", "name", "path", "word", "address", "text",
                            "bool", "map"):
                    self.assertIn(head, (kind, "1") if path == "version" else (kind,))
                self.assertEqual(required, "Required" in text)
                if default:
                    said = re.search(r"Default: (.*)", text)
                    self.assertTrue(said, "has no default")
                    self.assertEqual(said[1][:len(default)], default)
                if " to " in bounds and path != "version":
                    self.assertTrue(bounds in text or path.endswith("replay_window"), bounds)
                elif bounds and path != "version":
                    for word in bounds.split():
                        self.assertRegex(text, r"(^|[\s,])%s\b" % re.escape(word))

    def test_example(self):
        text = page("twinbore.yaml.5")
        example = re.search(r"\.Bd -literal -offset indent\n(version: 1.*?)\.Ed", text, re.S)[1]
        done = subprocess.run([TWINBORE, "check", "-"], input=example.encode(),
                              stdout=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        self.assertNotIn(b"warning", done.stdout)


class Commands(unittest.TestCase):
    def test_commands_and_options(self):
        text = page("twinbore.1")
        out = subprocess.run([TWINBORE, "--help"], stdout=subprocess.PIPE, check=True).stdout
        out = out.decode()
        commands = set(re.findall(r"^  ([a-z]+)", out, re.M))
        self.assertEqual(commands, set(re.findall(r"^\.It Cm (\w+)", text, re.M)))
        self.assertEqual(set(re.findall(r"--([a-z]+)", out)),
                         set(re.findall(r"Fl -([a-z]+)", text)))
        for code in "0123":
            self.assertIn("\n.It %s\n" % code, text)


if __name__ == "__main__":
    KEYS, TWINBORE, DOCS = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1], verbosity=2)
