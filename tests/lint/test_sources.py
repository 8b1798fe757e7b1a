#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the sources: licence line, layout, what the cores include, manual pages.

usage: test_sources.py PROJECT-FOLDER
"""

import os
import re
import subprocess
import sys
import unittest

FOLDERS = ["base", "include", "ike", "esp", "pki", "routing", "config", "bgp", "ipc", "daemon", "dataplane",
           "cli", "tests", "tools", "bench", ".ci"]
CORES = ["ike", "esp", "pki", "routing", "config", "bgp"]
SPDX = "SPDX-License-Identifier: Apache-2.0"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)

# Of base/, what has no use in a core.
SHELL_HEADERS = {"base/log.h", "base/shm.h", "base/ring.h"}
# The contracts whose sizes a core checks against: no structure of them is filled in a core.
CONTRACTS = {"config": {"twinbore/dp_msg.h", "twinbore/dp_stats.h"}}
# System headers that a core may include, and those of its own libraries.
PURE_HEADERS = {"assert.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h",
                "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h",
                "strings.h", "immintrin.h", "emmintrin.h", "cpuid.h", "endian.h", "sys/queue.h"}
LIBRARY_HEADERS = [
    # path of the file, header
    (r"^ike/crypto_openssl\w*\.[ch]$", r"^(openssl/.*|pthread\.h|sodium\.h)$"),
    (r"^ike/crypto_nettle\w*\.[ch]$", r"^(nettle/.*|gmp\.h)$"),
    (r"^esp/aead\w*\.[ch]$", r"^(openssl/.*|intel-ipsec-mb\.h)$"),
    (r"^config/\w+\.[ch]$", r"^yaml\.h$"),
    (r"^pki/\w+\.[ch]$", r"^openssl/.*$"),
]

root = "."


def files(folders=FOLDERS):
    """Paths of the sources, relative to the project."""
    for folder in folders:
        for where, folders_here, names in os.walk(os.path.join(root, folder)):
            # Corpora and vectors are data.
            folders_here[:] = [d for d in folders_here
                               if d not in ("__pycache__", "corpus", "vectors")]
            for name in sorted(names):
                yield os.path.relpath(os.path.join(where, name), root)


def read(path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def is_script(path):
    if path.endswith((".py", ".sh")):
        return True
    if "." in os.path.basename(path):
        return False
    with open(os.path.join(root, path), "rb") as file:
        return file.read(2) == b"#!"


def bad_includes(path, text):
    """The includes of a core's file that are not its own, base's or pure."""
    core = path.split("/")[0]
    found = []
    for kind, header in INCLUDE.findall(text):
        if kind == '"':
            if header in SHELL_HEADERS:
                found.append(f"{path} includes {header}, which is for shells")
            elif (not header.startswith((core + "/", "base/"))
                  and header not in CONTRACTS.get(core, ())):
                found.append(f"{path} includes {header}: a core knows itself and base/ only")
        elif header not in PURE_HEADERS and not any(
                re.match(p, path) and re.match(h, header) for p, h in LIBRARY_HEADERS):
            found.append(f"{path} includes <{header}>, which is not on its list")
    return found


class Sources(unittest.TestCase):
    def test_there_are_sources(self):
        self.assertGreater(sum(p.endswith(".c") for p in files()), 10)

    def test_licence_line(self):
        missing = []
        for path in files():
            if path.endswith((".c", ".h")):
                if read(path).split("\n", 1)[0] != f"/* {SPDX} */":
                    missing.append(path)
            elif is_script(path):
                if f"# {SPDX}" not in read(path).split("\n")[:2]:
                    missing.append(path)
        self.assertFalse(missing, "no SPDX line on top")

    def test_format(self):
        paths = [p for p in files() if p.endswith((".c", ".h"))]
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], cwd=root,
                              capture_output=True, text=True, check=False)
        bad = sorted(set(re.findall(r"^([^:\s]+):\d+:\d+: error:", done.stderr, re.MULTILINE)))
        self.assertFalse(bad, "not as .clang-format wants it; run clang-format -i")
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])

    def test_white_space(self):
        bad = []
        for path in files():
            if not (path.endswith((".c", ".h", "meson.build")) or is_script(path)):
                continue
            text = read(path)
            if re.search(r"[ \t]+$", text, re.MULTILINE) or not text.endswith("\n"):
                bad.append(path)
        self.assertFalse(bad, "white space at a line's end, or no newline at the file's")

    def test_core_includes(self):
        found = []
        for path in files(CORES):
            if path.endswith((".c", ".h")):
                found += bad_includes(path, read(path))
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_core_includes_would_be_found(self):
        cases = [
            ('#include "esp/esp.h"', 1),
            ('#include "ike/ike.h"', 0),
            ('#include "base/rd.h"', 0),
            ('#include "base/log.h"', 1),
            ('#include "twinbore/ring.h"', 1),
            ("#include <time.h>", 1),
            ("  #  include <sys/socket.h>", 1),
            ("#include <openssl/evp.h>", 1),
            ("#include <string.h>\n#include <stdio.h>", 1),
        ]
        for text, number in cases:
            with self.subTest(text):
                self.assertEqual(len(bad_includes("ike/x.c", text)), number)
        self.assertFalse(bad_includes("ike/crypto_openssl.c", "#include <openssl/evp.h>"))

    def test_manual_pages(self):
        pages = [p for p in files(["docs"]) if re.search(r"\.[158]$", p)]
        for page in pages:
            with self.subTest(page):
                done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], cwd=root,
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.stdout + done.stderr, "")
                self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    root = sys.argv[1]
    unittest.main(argv=sys.argv[:1], verbosity=2)
