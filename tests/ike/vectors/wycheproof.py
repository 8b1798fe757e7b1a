#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes wycheproof.txt from a checkout of Project Wycheproof (https://github.com/C2SP/wycheproof).

    wycheproof.py CHECKOUT

Every case that must be refused, and a fifth of those that must not, in this folder's form. What IKE
makes of a case is said here: a KE payload carries x | y alone (RFC 5903 7), and a shared secret of
zeros is refused with groups 31 and 32 (RFC 8031 5), which Wycheproof calls acceptable.
"""
import json
import os
import sys

ORDERS = {
    19: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551,
    20: int("ffffffffffffffffffffffffffffffffffffffffffffffff"
            "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    21: int("01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            "fffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
}
EXCHANGES = (("x25519", 31, 32), ("x448", 32, 56), ("ecdh_secp256r1_ecpoint", 19, 32),
             ("ecdh_secp384r1_ecpoint", 20, 48), ("ecdh_secp521r1_ecpoint", 21, 66))


def load(root, name):
    with open(os.path.join(root, "testvectors_v1", name + "_test.json"), encoding="utf-8") as f:
        return json.load(f)["testGroups"]


def chosen(tests):
    good = 0
    for test in tests:
        bad = test["result"] == "invalid" or not any(bytes.fromhex(test.get("shared", "01")))
        good += not bad
        if bad or good % 5 == 0:
            yield test


def exchange(out, root, name, dh, size):
    for test in chosen(t for g in load(root, name) for t in g["tests"]):
        public, shared = bytes.fromhex(test["public"]), bytes.fromhex(test["shared"])
        private = bytes.fromhex(test["private"])
        ok = test["result"] != "invalid" and (dh in ORDERS or any(shared))
        if dh in ORDERS:
            number = int.from_bytes(private, "big")
            # Compressed points are no matter of IKE's.
            if not 0 < number < ORDERS[dh] or public[:1] in (b"\x02", b"\x03"):
                continue
            private = number.to_bytes(size, "big")
            # Without the first byte what is no uncompressed point would be something else.
            if public[:1] != b"\x04":
                continue
            public = public[1:]
        out.append("\n[%s %d: %s]\nkind = dh\ndh = %d\na = %s\nB = %s\nshared = %s\nok = %d" %
                   (name, test["tcId"], test["comment"][:60], dh, private.hex(), public.hex(),
                    shared.hex() if ok else "", ok))


def aead(out, root, name, encr):
    groups = [g for g in load(root, name) if g["ivSize"] == 96 and g["tagSize"] == 128]
    for test in chosen(t for g in groups for t in g["tests"]):
        if len(test["msg"]) > 1000 or len(test["aad"]) > 1000:
            continue
        out.append("\n[%s %d: %s]\nkind = aead\nencr = %d\nkey = %s\niv = %s\naad = %s\nplain = %s\n"
                   "cipher = %s\ntag = %s\nok = %d" %
                   (name, test["tcId"], test["comment"][:60], encr, test["key"], test["iv"],
                    test["aad"], test["msg"], test["ct"], test["tag"], test["result"] == "valid"))


def main():
    root = sys.argv[1]
    here = os.path.dirname(os.path.abspath(__file__))
    out = ["# SPDX-License-Identifier: Apache-2.0",
           "# From Project Wycheproof, testvectors_v1, by wycheproof.py, which says what was chosen."]
    for name, dh, size in EXCHANGES:
        exchange(out, root, name, dh, size)
    aead(out, root, "aes_gcm", 20)
    aead(out, root, "chacha20_poly1305", 28)
    text = "\n".join(" ".join(line.split()) for line in "\n".join(out).split("\n"))
    with open(os.path.join(here, "wycheproof.txt"), "w", encoding="ascii") as f:
        f.write(text + "\n")


if __name__ == "__main__":
    main()
