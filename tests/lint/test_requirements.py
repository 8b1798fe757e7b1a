#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/requirements, and that each requirement has a test.

usage: test_requirements.py PROJECT-FOLDER
"""

import os
import subprocess
import sys
import tempfile
import unittest

root = "."
RULES = "RFC7296-2.1-a | RFC 7296 2.1 | one\nCVE-2014-2338 | CVE-2014-2338 | two\n"
CODE = """/* Requirements: RFC7296-2.1-a, CVE-2014-2338 */
static void one(void **state)
{
}

int main(void)
{
	return run(one);
}
"""


def run(folder):
    result = subprocess.run([os.path.join(root, "tools", "requirements"), folder],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode, result.stdout


class Project(unittest.TestCase):
    def test_each_has_a_test(self):
        status, text = run(root)
        self.assertEqual(status, 0, text[-3000:])


class Tool(unittest.TestCase):
    def check(self, status, *texts, rules=RULES, code=CODE, build="['one']", name="test_one.c"):
        with tempfile.TemporaryDirectory() as folder:
            tests = os.path.join(folder, "tests", "ike")
            os.makedirs(tests)
            for file, content in (("requirements.txt", rules), (name, code), ("meson.build", build)):
                with open(os.path.join(tests, file), "w", encoding="utf-8") as f:
                    f.write(content)
            got, output = run(folder)
            for text in texts:
                self.assertIn(text, output)
            self.assertEqual(got, status, output)

    def test_all_there(self):
        self.check(0, "2 requirements, 2 with a test, 0 without", "tests/ike/test_one.c one")

    def test_without_a_test(self):
        self.check(1, "NO TEST", "1 without", rules=RULES + "SIM-x | RFC 7296 2.1 | three\n")

    def test_unknown_id(self):
        self.check(1, "CVE-2014-9999 is not in", code=CODE.replace("2338", "9999"))

    def test_nothing_runs_it(self):
        self.check(1, "nothing runs one()", code=CODE.replace("run(one)", "0"))
        self.check(1, "nothing runs one()", code=CODE.replace("run(one)", "0 /* one */"))

    def test_meson_does_not_know_it(self):
        self.check(1, "Meson runs no such test", build="['two']")

    def test_at_no_test(self):
        self.check(1, "stands at no test", code="/* Requirements: CVE-2014-2338 */\n")

    def test_within_and_over_several_lines(self):
        code = CODE.replace("{\n}", "{\n\t/* Requirements: CVE-2014-2338,\n\t * RFC7296-2.1-a */\n}", 1)
        self.check(0, "2 with a test", code=code.split("\n", 1)[1])

    def test_a_table(self):
        code = CODE.replace("static void one(void **state)\n{\n}", "static const int one[] = {\n\t1,\n};")
        self.check(0, "test_one.c one", code=code)

    def test_python(self):
        code = "# Requirements: RFC7296-2.1-a,\n# CVE-2014-2338\ndef one():\n    pass\n\n\none()\n"
        self.check(0, "one.py one", code=code, name="one.py")
        self.check(1, "nothing runs one()", code=code.replace("\none()", ""), name="one.py")

    def test_bad_tables(self):
        self.check(1, "requirements.txt:1: not", rules="RFC7296-2.1-a | RFC 7296 2.1\n")
        self.check(1, "requirements.txt:1: not", rules="2.1 | RFC 7296 2.1 | x\n")
        self.check(1, "twice", rules=RULES + RULES)
        self.check(1, "is not of RFC 7296 2.2", rules="RFC7296-2.1-a | RFC 7296 2.2 | x\n")


if __name__ == "__main__":
    root = os.path.abspath(sys.argv.pop(1))
    unittest.main()
