#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`twinbore pki`: what it makes is judged by the openssl command and by strongSwan's pki.

usage: test_pki.py TWINBORE
"""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest

TWINBORE = None


def command(*args, **more):
    """(exit code, standard output, standard error)"""
    p = subprocess.run(args, capture_output=True, text=True, check=False, timeout=60, **more)
    return p.returncode, p.stdout, p.stderr


class Pki(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.ca = os.path.join(self.folder, "ca")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def pki(self, *args, code=0):
        got, out, err = command(TWINBORE, "pki", *args)
        self.assertEqual(got, code, out + err)
        return out if code == 0 else err

    def openssl(self, *args, code=0):
        got, out, err = command("openssl", *args)
        self.assertEqual(got, code, out + err)
        return out + err

    def verify(self, cert, code=0):
        return self.openssl("verify", "-x509_strict", "-crl_check", "-CAfile",
                            self.path("ca", "ca.crt"), "-CRLfile", self.path("ca", "crl.pem"), cert,
                            code=code)

    def strongswan(self, cert, good):
        code, out, err = command("pki", "--verify", "--in", cert, "--cacert",
                                 self.path("ca", "ca.crt"), "--crl", self.path("ca", "crl.pem"))
        self.assertEqual(code == 0, good, out + err)

    def mode(self, *names):
        return stat.S_IMODE(os.stat(self.path(*names)).st_mode)

    def test_life_of_a_certificate(self):
        self.pki("init", self.ca, "--name", "CN=Our CA, O=Example\\, Inc.")
        self.assertEqual(self.mode("ca"), 0o700)
        self.assertEqual(self.mode("ca", "ca.key"), 0o600)
        self.pki("issue", self.ca, "--name", "CN=site a, C=DE", "-o", self.path("a"), "--san",
                 "dns:a.example,ip:192.0.2.1,ip:2001:db8::1,email:x@a.example")
        self.assertEqual(self.mode("a.key"), 0o600)
        self.verify(self.path("a.crt"))
        self.strongswan(self.path("a.crt"), True)
        text = self.openssl("x509", "-in", self.path("a.crt"), "-noout", "-text")
        for wanted in ("DNS:a.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, "
                       "email:x@a.example", "Issuer: CN = Our CA, O = \"Example, Inc.\"",
                       "Subject: CN = site a, C = DE", "CA:FALSE", "Digital Signature"):
            self.assertIn(wanted, text)
        # The key is the certificate's.
        key = self.openssl("pkey", "-in", self.path("a.key"), "-pubout")
        self.assertEqual(key, self.openssl("x509", "-in", self.path("a.crt"), "-noout", "-pubkey"))

        self.pki("issue", self.ca, "--name", "CN=b", "--san", "dns:b.example", "-o", self.path("b"))
        out = self.pki("list", self.ca)
        self.assertEqual(len(re.findall("valid", out)), 2)
        self.pki("revoke", self.ca, self.path("a.crt"), "--reason", "keyCompromise")
        self.assertIn("revoked", self.verify(self.path("a.crt"), code=2))
        self.strongswan(self.path("a.crt"), False)
        self.verify(self.path("b.crt"))
        self.assertIn("revoked (keyCompromise)", self.pki("list", self.ca))
        self.assertIn("already", self.pki("revoke", self.ca, self.path("a.crt"), code=1))
        # By its number; the first one stays on the list.
        serial = json.loads(self.pki("list", self.ca, "--json"))["certificates"][1]["serial"]
        self.pki("revoke", self.ca, serial)
        self.verify(self.path("b.crt"), code=2)
        self.verify(self.path("a.crt"), code=2)

    def test_lists_are_numbered_and_renewed(self):
        self.pki("init", self.ca)
        numbers = []
        for _ in range(3):
            text = self.openssl("crl", "-in", self.path("ca", "crl.pem"), "-noout", "-text")
            numbers.append(int(re.search(r"CRL Number: *\n *(\d+)", text)[1]))
            self.pki("crl", self.ca, "--days", "7")
        self.assertEqual(numbers, [1, 2, 3])

    def test_key_types(self):
        for kind, text in {"ecdsa-p256": "P-256", "ecdsa-p384": "P-384", "ecdsa-p521": "P-521",
                           "ed25519": "ED25519", "ed448": "ED448",
                           "rsa-3072": "3072 bit"}.items():
            with self.subTest(kind):
                self.ca = self.path("ca")
                if not os.path.exists(self.ca):
                    self.pki("init", self.ca, "--type", "ed25519")
                self.pki("issue", self.ca, "--name", "CN=x", "--type", kind, "-o", self.path(kind))
                self.verify(self.path(kind + ".crt"))
                self.assertIn(text, self.openssl("pkey", "-in", self.path(kind + ".key"), "-noout",
                                                 "-text"))

    def test_nothing_is_overwritten(self):
        self.pki("init", self.ca)
        with open(self.path("ca", "ca.key"), encoding="ascii") as f:
            key = f.read()
        self.assertIn("left as it is", self.pki("init", self.ca, code=1))
        for name in ("a.key", "a.crt"):
            with self.subTest(name):
                with open(self.path(name), "w", encoding="ascii") as f:
                    f.write("mine")
                self.assertIn("left as it is", self.pki("issue", self.ca, "--name", "CN=x", "-o",
                                                        self.path("a"), code=1))
                with open(self.path(name), encoding="ascii") as f:
                    self.assertEqual(f.read(), "mine")
                os.unlink(self.path(name))
                self.assertEqual(sorted(os.listdir(self.folder)), ["ca"])
        with open(self.path("ca", "ca.key"), encoding="ascii") as f:
            self.assertEqual(f.read(), key)
        self.assertEqual(sorted(os.listdir(self.ca)), ["ca.crt", "ca.key", "crl.pem", "index.json"])
        self.assertEqual(json.loads(self.pki("list", self.ca, "--json"))["certificates"], [])

    def test_umask(self):
        old = os.umask(0)
        try:
            self.pki("init", self.ca)
            self.pki("issue", self.ca, "--name", "CN=x", "-o", self.path("a"))
        finally:
            os.umask(old)
        self.assertEqual((self.mode("ca", "ca.key"), self.mode("a.key"), self.mode("a.crt")),
                         (0o600, 0o600, 0o644))

    def test_errors(self):
        self.pki("init", self.ca)
        other = self.path("other")
        self.pki("init", other)
        self.pki("issue", other, "--name", "CN=x", "-o", self.path("x"))
        out = self.path("y")
        for args, words in (
                (("revoke", self.ca, self.path("x.crt")), "no certificate of this CA"),
                (("revoke", self.ca, "00ff"), "neither a file nor the serial number"),
                (("revoke", self.ca, self.path("x.key")), "where certificates are wanted"),
                (("list", self.folder), "pki init"),
                (("list", self.path("none")), "cannot open"),
                (("issue", self.ca, "--name", "x", "-o", out), "CN=..."),
                (("issue", self.ca, "--name", "CN=", "-o", out), "empty value"),
                (("issue", self.ca, "--name", "CN=x", "-o", out, "--san", "dns:*.x"), "wildcards"),
                (("issue", self.ca, "--name", "CN=x", "-o", out, "--san", "ip:1.2.3"), "no name"),
                (("issue", self.ca, "--name", "CN=x", "-o", out, "--san", "dns:a,,"), "no name"),
                (("issue", self.ca, "--name", "CN=x", "-o", out, "--type", "dsa"), "no key type"),
                (("issue", self.ca, "--name", "CN=x", "-o", self.path("no", "y")), "cannot write"),
        ):
            with self.subTest(args):
                self.assertIn(words, self.pki(*args, code=1))
        for args in (("frob", self.ca), ("issue", self.ca), ("issue", self.ca, "--name", "CN=x"),
                     ("list", self.ca, "--days", "3"), ("init", self.ca, "--days", "0"),
                     ("revoke", self.ca), ("init", self.ca, "more"),
                     ("revoke", self.ca, "00", "--reason", "bored")):
            with self.subTest(args):
                self.pki(*args, code=2)
        self.assertFalse(os.path.exists(out + ".key"))
        # A key that is another CA's.
        os.replace(self.path("other", "ca.key"), self.path("ca", "ca.key"))
        self.assertIn("not the key of ca.crt", self.pki("crl", self.ca, code=1))

    def test_json(self):
        self.pki("init", self.ca, "--json")
        got = json.loads(self.pki("issue", self.ca, "--name", "CN=x", "-o", self.path("x"),
                                  "--json"))
        self.assertEqual(got["certificate"], self.path("x.crt"))
        self.assertEqual(json.loads(self.pki("revoke", self.ca, got["serial"], "--json"))["serial"],
                         got["serial"])
        _, out, _ = command(TWINBORE, "--json", "pki", "list", self.path("none"))
        self.assertEqual(json.loads(out)["error"]["code"], "failed")


if __name__ == "__main__":
    TWINBORE = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1], verbosity=2)
