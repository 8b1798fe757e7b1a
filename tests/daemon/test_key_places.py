#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a private key is in keyd's memory once it was taken: in what is locked and in no core dump,
with all that its decoding left behind, and nowhere else."""

import os
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dataplane"))

import memory  # noqa: E402

KINDS = {
    "ecdsa": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "priv:"),
    "rsa": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "prime1:"),
    "ed25519": (["-algorithm", "ED25519"], "priv:"),
    "ed448": (["-algorithm", "ED448"], "priv:"),
}


def make(folder, kind):
    """A key's file and the bytes that are secret, in both orders, and as they stand in the file."""
    options, field = KINDS[kind]
    path = os.path.join(folder, kind)
    subprocess.run(["openssl", "genpkey", "-out", path] + options, check=True,
                   stderr=subprocess.DEVNULL)
    text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    lines = iter(text.splitlines())
    digits = ""
    for line in lines:
        if line.strip() == field:
            break
    for line in lines:
        if not line.startswith("    "):
            break
        digits += line.strip()
    value = bytes.fromhex(digits.replace(":", "")).lstrip(b"\0")
    assert len(value) >= 30
    with open(path) as f:
        base64 = f.read().split("\n")[2 if kind == "rsa" else 1].encode()
    return path, {"number": value[4:28], "limbs": value[::-1][4:28], "text": base64[-24:]}


class Places(unittest.TestCase):
    def places(self, kind, *more):
        with tempfile.TemporaryDirectory() as folder:
            path, needles = make(folder, kind)
            p = subprocess.Popen([TOOL, path, *more], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
            try:
                ordinary = int(p.stdout.readline())
                if not more:
                    # The public key's copy, which is ours and no secret.
                    self.assertLessEqual(ordinary, 1)
                self.assertEqual(p.stdout.readline(), b"ready\n")
                return memory.find(p.pid, needles)
            finally:
                p.communicate(b"\n")

    def test_each_kind(self):
        for kind in KINDS:
            with self.subTest(kind):
                found = self.places(kind)
                all_found = [m for ms in found.values() for m in ms]
                self.assertTrue(all_found, "it was not found: then nothing is proved")
                for name, ms in found.items():
                    self.assertEqual([m for m in ms if not m.hidden], [], name)

    def test_the_scan_finds(self):
        """libcrypto keeps what it computes from an RSA key for the next time, where it allocates."""
        found = self.places("rsa", "outside")
        self.assertTrue([m for ms in found.values() for m in ms if not m.hidden])


if __name__ == "__main__":
    unittest.main(verbosity=2)
