#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""AUTH data and names of pki/ beside those of the openssl command.

usage: test_openssl.py PKI_TOOL
"""

import os
import subprocess
import sys
import tempfile
import unittest

TOOL = None
SHA256, SHA384, SHA512, IDENTITY = 4, 8, 16, 32

# algorithm and options of genpkey; hash bit, openssl's name of the hash, its options, the
# AlgorithmIdentifier in hex
PSS = "3041 06092a864886f70d01010a 3034 a00f 300d 0609608648016503040201 0500 " \
      "a11c 301a 06092a864886f70d010108 300d 0609608648016503040201 0500 a203020120"
PSS_OPTIONS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
CASES = {
    "rsa-pss": (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], SHA256, "sha256", PSS_OPTIONS, PSS),
    "p256": (["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], SHA256, "sha256", [],
             "300a 06082a8648ce3d040302"),
    "p384": (["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], SHA384, "sha384", [],
             "300a 06082a8648ce3d040303"),
    "p521": (["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], SHA512, "sha512", [],
             "300a 06082a8648ce3d040304"),
    "ed25519": (["ED25519"], IDENTITY, None, [], "3005 06032b6570"),
    "ed448": (["ED448"], IDENTITY, None, [], "3005 06032b6571"),
}


class Signatures(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("octets", b"what both sides sign")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)

    def run_(self, *args, code=0):
        p = subprocess.run(args, capture_output=True, check=False, timeout=60)
        self.assertEqual(p.returncode, code, (args, p.stdout, p.stderr))
        return p.stdout

    def key(self, name, options):
        self.run_("openssl", "genpkey", "-algorithm", *options, "-out", self.path(name + ".key"))
        self.run_("openssl", "pkey", "-in", self.path(name + ".key"), "-pubout", "-out",
                  self.path(name + ".pub"))

    def pkeyutl(self, verb, key, digest, options, *more):
        """Over the octets themselves."""
        args = ["openssl", "pkeyutl", verb, *key, "-rawin", "-in", self.path("octets"), *more]
        if digest:
            args += ["-digest", digest]
        for option in options[1::2]:
            args += ["-pkeyopt", option]
        return self.run_(*args)

    def test_method_14(self):
        for name, (options, bit, digest, sigopts, alg) in CASES.items():
            with self.subTest(name):
                self.key(name, options)
                head = bytes.fromhex(alg)
                head = bytes([len(head)]) + head
                # Ours to openssl.
                auth = self.run_(TOOL, "sign", self.path(name + ".key"), str(bit),
                                 self.path("octets"))
                self.assertEqual(auth[:len(head)], head)
                self.write("sig", auth[len(head):])
                self.pkeyutl("-verify", ["-pubin", "-inkey", self.path(name + ".pub")], digest,
                             sigopts, "-sigfile", self.path("sig"))
                # openssl's to us.
                self.pkeyutl("-sign", ["-inkey", self.path(name + ".key")], digest, sigopts,
                             "-out", self.path("sig"))
                with open(self.path("sig"), "rb") as f:
                    sig = f.read()
                self.write("auth", head + sig)
                self.run_(TOOL, "verify", self.path(name + ".pub"), "14", self.path("octets"),
                          self.path("auth"))
                self.write("auth", head + sig[:-1] + bytes([sig[-1] ^ 1]))
                self.run_(TOOL, "verify", self.path(name + ".pub"), "14", self.path("octets"),
                          self.path("auth"), code=1)

    def test_pkcs1(self):
        self.key("rsa", CASES["rsa-pss"][0])
        head = bytes.fromhex("0f 300d 06092a864886f70d01010b 0500")
        self.write("auth", head + self.run_("openssl", "dgst", "-sha256", "-sign",
                                            self.path("rsa.key"), self.path("octets")))
        self.run_(TOOL, "verify", self.path("rsa.pub"), "14", self.path("octets"),
                  self.path("auth"))

    def test_names(self):
        self.key("n", ["ED25519"])
        self.run_("openssl", "req", "-new", "-x509", "-utf8", "-key", self.path("n.key"), "-subj",
                  "/C=DE/O=Example, Inc./CN=site a/emailAddress=x@a.example", "-outform", "DER",
                  "-out", self.path("n.der"))
        with open(self.path("n.der"), "rb") as f:
            der = f.read()
        name = self.run_(TOOL, "dn", 'C=DE, O="Example, Inc.", CN=site a, E=x@a.example')
        # As issuer and as subject, byte for byte.
        self.assertEqual(der.count(name), 2)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1], verbosity=2)
