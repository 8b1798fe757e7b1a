#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/setup and tools/test-report, without installing or running anything.

usage: test_tools.py PROJECT-FOLDER
"""

import importlib.machinery
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

root = "."


def load_report():
    path = os.path.join(root, "tools", "test-report")
    loader = importlib.machinery.SourceFileLoader("report", path)
    spec = importlib.util.spec_from_loader("report", loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


class Report(unittest.TestCase):
    # name, result, standard output, standard error, (passed, failed, skipped)
    cases = [
        ("plain", "OK", "", "", (1, 0, 0)),
        ("plain failure", "FAIL", "oops", "", (0, 1, 0)),
        ("exit code 77", "SKIP", "", "", (0, 0, 1)),
        ("time-out", "TIMEOUT", "", "", (0, 1, 0)),
        ("TAP", "OK", "1..3\nok 1 - a\nok 2 - b\nok 3 - c\n", "", (3, 0, 0)),
        ("TAP, plan last", "OK", "ok 1 - a\nok 2\n1..2\n", "", (2, 0, 0)),
        ("TAP with a failure", "FAIL", "1..2\nok 1 - a\nnot ok 2 - b\n# why\n", "", (1, 1, 0)),
        ("TAP skip", "OK", "1..2\nok 1 - a # SKIP no root\nok 2 - b\n", "", (1, 0, 1)),
        ("cmocka's TAP skip", "OK", "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", "", (1, 0, 1)),
        ("TAP, nothing runs", "SKIP", "1..0 # SKIP no root\n", "", (0, 0, 1)),
        ("TAP, crash in the middle", "ERROR", "1..3\nok 1 - a\n", "", (1, 1, 0)),
        ("TAP, failure and crash", "ERROR", "1..3\nnot ok 1 - a\n", "", (0, 1, 0)),
        ("TAP, a comment that looks like one", "OK", "1..1\nok 1 - a\n# not ok - group\n", "",
         (1, 0, 0)),
        ("cmocka", "FAIL",
         "[==========] Running 3 test(s).\n[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
         "[  SKIPPED ] b\n[ RUN      ] c\n[  FAILED  ] c\n[==========] 3 test(s) run.\n",
         "[  PASSED  ] 1 test(s).\n[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] c\n",
         (1, 1, 1)),
        ("cmocka, then a sanitizer's report", "FAIL",
         "[==========] Running 1 test(s).\n[ RUN      ] a\n[       OK ] a\n", "leaks", (1, 1, 0)),
        ("unittest", "OK", "", "Ran 5 tests in 0.1s\n\nOK\n", (5, 0, 0)),
        ("unittest, skipped", "OK", "", "Ran 5 tests in 0.1s\n\nOK (skipped=2)\n", (3, 0, 2)),
        ("unittest, failed", "FAIL", "",
         "Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n", (2, 2, 1)),
    ]

    def test_counts(self):
        report = load_report()
        for name, result, out, err, want in self.cases:
            with self.subTest(name):
                self.assertEqual(report.count({"result": result, "stdout": out, "stderr": err}),
                                 want)

    def report(self, suites):
        """Standard output's lines and the exit code for {suite: entries, or None for no log}."""
        with tempfile.TemporaryDirectory() as folder:
            args = []
            for suite, tests in suites.items():
                path = os.path.join(folder, suite)
                args.append(f"{suite}={path}")
                if tests is None:
                    continue
                with open(path, "w", encoding="utf-8") as log:
                    for name, result, out in tests:
                        log.write(json.dumps({"name": name, "result": result, "stdout": out,
                                              "duration": 1.0, "returncode": 0}) + "\n")
            done = subprocess.run([sys.executable, os.path.join(root, "tools", "test-report"), *args],
                                  capture_output=True, text=True, check=False)
            return done.stdout.splitlines(), done.returncode

    def test_closing_line(self):
        ok, bad, skip = ("a", "OK", ""), ("b", "FAIL", "the reason"), ("c", "SKIP", "")
        for suites, line, code in [
            ({"unit": [ok, ok], "sim": [ok]}, "3 passed, 0 failed", 0),
            ({"unit": [ok, skip]}, "1 passed, 0 failed, 1 skipped", 0),
            ({"unit": [ok], "sim": [bad]}, "1 passed, 1 failed", 1),
            ({"unit": [ok], "netns": None}, "1 passed, 1 failed", 1),
            ({"unit": [ok], "netns": []}, "1 passed, 1 failed", 1),
        ]:
            with self.subTest(line):
                lines, status = self.report(suites)
                self.assertEqual(lines[-1], line)
                self.assertEqual(status, code)

    def test_tail_of_failed_logs(self):
        long = "\n".join(f"line {i}" for i in range(500))
        lines, _ = self.report({"unit": [("p:unit / good", "OK", "unseen"),
                                         ("p:unit / bad", "FAIL", long)]})
        text = "\n".join(lines)
        self.assertIn("-- unit: bad: FAIL", text)
        self.assertIn("    line 499", text)
        self.assertNotIn("    line 400", text)
        self.assertNotIn("unseen", text)


class Setup(unittest.TestCase):
    """setup_install with an apt-get of our own and a policy-rc.d in a folder of our own."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.policy = os.path.join(self.folder.name, "policy-rc.d")

    def script(self, apt):
        return f"""
            . {root}/tools/setup
            SETUP_POLICY={self.policy}
            SETUP_POLICY_SAVED={self.policy}.saved
            SETUP_LOCK={self.folder.name}/lock
            SETUP_PAUSE=0
            systemctl() {{ :; }}
            apt-get() {{ {apt}; }}
            setup_install some-package
        """

    def install(self, apt):
        return subprocess.run(["bash", "-c", self.script(apt)], capture_output=True, text=True,
                              check=False)

    def put_policy(self, text="#!/bin/sh\nexit 0\n"):
        with open(self.policy, "w", encoding="utf-8") as file:
            file.write(text)
        return text

    def get_policy(self):
        if not os.path.exists(self.policy):
            return None
        with open(self.policy, encoding="utf-8") as file:
            return file.read()

    def test_daemons_are_denied_meanwhile(self):
        done = self.install(f"{self.policy} strongswan start; echo \"policy says $?\" >&2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("policy says 101"), 2)  # update, install
        self.assertIsNone(self.get_policy())

    def test_own_policy_comes_back(self):
        for apt, code in [("true", 0), ("false", 1), ("[ \"$2\" != install ] && false", 1)]:
            with self.subTest(apt):
                text = self.put_policy()
                self.assertEqual(self.install(apt).returncode, code)
                self.assertEqual(self.get_policy(), text)
                self.assertEqual(sorted(os.listdir(self.folder.name)), ["lock", "policy-rc.d"])

    def test_none_before_none_after(self):
        for apt in ("true", "false"):
            with self.subTest(apt):
                self.install(apt)
                self.assertIsNone(self.get_policy())

    def test_interrupted(self):
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(sign.name):
                text = self.put_policy()
                process = subprocess.Popen(["bash", "-c", self.script("sleep 1")],
                                           stderr=subprocess.DEVNULL, start_new_session=True)
                limit = time.monotonic() + 10
                while self.get_policy() in (text, None) and time.monotonic() < limit:
                    time.sleep(0.01)
                self.assertNotEqual(self.get_policy(), text)
                os.killpg(process.pid, sign)
                process.wait(timeout=20)
                limit = time.monotonic() + 10
                while self.get_policy() != text and time.monotonic() < limit:
                    time.sleep(0.01)
                self.assertEqual(self.get_policy(), text)

    def test_what_a_killed_run_left(self):
        mine = self.put_policy()
        os.rename(self.policy, self.policy + ".saved")
        with open(self.policy, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n# made by twinbore's tools/setup, removed at its end\nexit 101\n")
        self.assertEqual(self.install("true").returncode, 0)
        self.assertEqual(self.get_policy(), mine)

    def test_list_of_packages(self):
        with open(os.path.join(root, "tools", "packages.txt"), encoding="utf-8") as file:
            names = [line.strip() for line in file if line.strip() and not line.startswith("#")]
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertRegex(name, r"^[a-z0-9][a-z0-9.+-]+$")


if __name__ == "__main__":
    root = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1], verbosity=2)
