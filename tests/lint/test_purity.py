#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the pure cores call nothing but what they may; see purity.py.

usage: test_purity.py --cc COMPILER PLANTED.a NAME=LIBRARY.a...
"""

import argparse
import shlex
import sys
import unittest

import purity


class Cores(unittest.TestCase):
    archives = {}
    planted = None
    compiler = ("cc",)

    def test_there_are_cores(self):
        self.assertTrue(self.archives, "the build has no core at all")

    # Who can make no socket fetches nothing that a certificate points to. Requirements: CVE-2022-40617
    def check(self, name):
        found = purity.offences(name, self.archives, self.compiler)
        found += purity.bare_instructions(name, self.archives[name])
        self.assertFalse(found, "\n" + "\n".join(found))


class Checker(unittest.TestCase):
    """The lint itself: a planted core must be caught at everything, and blamed for nothing else."""

    wanted = {
        "clock_gettime": "cores take time from events",
        "mono_now": "cores take time from events",
        "getrandom": "randomness",
        "random_bytes_fill": "randomness",
        "socket": "socket",
        "log_write": "tracer",
        "pthread_create": "threads",
        "open": "file",
        "fork": "processes",
        "mmap": "shared memory",
        "rte_lcore_count": "DPDK",
    }

    def setUp(self):
        self.found = purity.offences("planted", {"planted": Cores.planted}, Cores.compiler,
                                     purity.Rule())

    def test_each_offence_is_named(self):
        for symbol, why in self.wanted.items():
            with self.subTest(symbol):
                lines = [f for f in self.found
                         if f.startswith((f"planted calls {symbol}:", f"planted calls {symbol}64:"))]
                self.assertEqual(len(lines), 1, self.found)
                self.assertIn(why, lines[0])

    def test_stdio_is_named(self):
        # Under which name depends on the optimiser and on fortification.
        lines = [f for f in self.found if "base/sb.h" in f]
        self.assertGreaterEqual(len(lines), 2, self.found)

    def test_nothing_else_is_named(self):
        known = len(self.wanted) + len([f for f in self.found if "base/sb.h" in f])
        self.assertEqual(len(self.found), known, self.found)

    def test_an_instruction_is_named(self):
        self.assertEqual(purity.bare_instructions("planted", Cores.planted),
                         ["planted contains rdtsc: reads the clock"])

    def test_a_foreign_library_counts_for_its_users_only(self):
        crypto = purity.exported("libcrypto.so", Cores.compiler)
        self.assertIn("EVP_CipherUpdate", crypto)
        self.assertIn("RAND_bytes", crypto)
        rule = purity.RULES["esp"]
        self.assertTrue(rule.but_not.search("RAND_bytes"))
        self.assertFalse(purity.RULES["ike"].libraries)


def add_core_tests():
    """One test for each core that the build has."""
    for name in Cores.archives:
        def test(self, name=name):
            self.check(name)
        setattr(Cores, f"test_{name}", test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("planted")
    parser.add_argument("archives", nargs="*")
    args = parser.parse_args()
    Cores.compiler = tuple(shlex.split(args.cc))
    Cores.planted = args.planted
    Cores.archives = dict(a.split("=", 1) for a in args.archives)
    unknown = set(Cores.archives) - set(purity.RULES)
    if unknown:
        sys.exit(f"no rule for {unknown}")
    add_core_tests()
    unittest.main(argv=sys.argv[:1], verbosity=2)
