#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the vector files of this folder, or with --check compares them with what it would write.

Two kinds of numbers stand here. Those of published documents are typed in below, and each is
confirmed with an implementation that shares nothing with the product (hashlib, Python integers,
python3-cryptography) before it is written. For prf+, SKEYSEED, key material, AUTH and whole
protected messages no published text was at hand; their expected values are computed here from
the formulas of RFC 7296 and RFC 5282 with the same independent implementations.
"""
import hashlib
import hmac
import os
import struct
import sys

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HASH = {5: "sha256", 6: "sha384", 7: "sha512"}  # prf number -> hash
INTEG = {12: ("sha256", 16), 13: ("sha384", 24), 14: ("sha512", 32)}
SIZE = {5: 32, 6: 48, 7: 64}


def h(text):
    return bytes.fromhex(text.replace(" ", ""))


def prf(number, key, data):
    return hmac.new(key, data, HASH[number]).digest()


def prf_plus(number, key, seed, size):
    out, block, n = b"", b"", 0
    while len(out) < size:
        n += 1
        block = prf(number, key, block + seed + bytes([n]))
        out += block
    return out[:size]


def stream(label, size):
    """Bytes that anyone can make again: SHA-256 in counter mode over a label."""
    out, n = b"", 0
    while len(out) < size:
        out += hashlib.sha256(b"%s %d" % (label.encode(), n)).digest()
        n += 1
    return out[:size]


class File:
    def __init__(self, name, *comment):
        self.name = name
        self.lines = ["# SPDX-License-Identifier: Apache-2.0"] + ["# " + c for c in comment]

    def case(self, title, **fields):
        self.lines += ["", "[" + title + "]"]
        for key, value in fields.items():
            text = value.hex() if isinstance(value, bytes) else str(value)
            self.lines.append((key + " = " + text).rstrip())

    def text(self):
        return "\n".join(self.lines) + "\n"


def hmac_file():
    f = File("hmac.txt", "HMAC-SHA-2 as PRF: RFC 4231 4.2 to 4.8 (case 5, truncated, is left out).",
             "A case gives the full outputs of PRFs 5, 6 and 7; INTEG 12, 13 and 14 are their first halves",
             "(RFC 4868 2.3), where the key has the size that INTEG asks for.")
    cases = [
        ("4.2 case 1", b"\x0b" * 20, b"Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
         "faea9ea9076ede7f4af152e8b2fa9cb6",
         "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
         "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"),
        ("4.3 case 2", b"Jefe", b"what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
         "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
         "8e2240ca5e69e2c78b3239ecfab21649",
         "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
         "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
        ("4.4 case 3", b"\xaa" * 20, b"\xdd" * 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe", None, None),
        ("4.5 case 4", bytes(range(1, 26)), b"\xcd" * 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b", None, None),
        ("4.7 case 6", b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", None, None),
        ("4.8 case 7", b"\xaa" * 131,
         b"This is a test using a larger than block-size key and a larger than block-size data. "
         b"The key needs to be hashed before being used by the HMAC algorithm.",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2", None, None),
    ]
    for title, key, data, *published in cases:
        out = [prf(n, key, data) for n in (5, 6, 7)]
        for got, want in zip(out, published):
            assert want is None or got == h(want), title
        f.case("RFC 4231 " + title, key=key, data=data, prf5=out[0], prf6=out[1], prf7=out[2])
    for integ, (name, icv) in INTEG.items():
        key, data = stream("integ key", {12: 32, 13: 48, 14: 64}[integ]), stream("integ data", 99)
        f.case("integ %d" % integ, integ=integ, key=key, data=data,
               icv=hmac.new(key, data, name).digest()[:icv])
    f.case("empty key and data", key=b"", data=b"", prf5=prf(5, b"", b""), prf6=prf(6, b"", b""),
           prf7=prf(7, b"", b""))
    return f


def pi_scaled(bits):
    """floor(pi * 2^bits) by Machin's formula."""
    extra = 64
    one = 1 << (bits + extra)

    def arctan_inverse(x):
        total = term = one // x
        n, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total

    return (4 * (4 * arctan_inverse(5) - arctan_inverse(239))) >> extra


def dh_file():
    f = File("dh.txt", "Key agreement. `a` and `b` are private values, `A` and `B` what KE payloads carry.",
             "Group 14 (RFC 3526 3): no published exchange; the modulus is derived from its formula",
             "2^2048 - 2^1984 - 1 + 2^64 * (floor(2^1918 pi) + 124476), the rest by Python's pow().",
             "Groups 19, 20, 21: RFC 5903 8.1, 8.2, 8.3. Group 31: RFC 7748 6.1.")
    p = 2**2048 - 2**1984 - 1 + 2**64 * (pi_scaled(1918) + 124476)
    assert pow(2, p - 1, p) == 1 and pow(2, (p - 1) // 2, p) == 1
    a, b = (int.from_bytes(stream("modp " + x, 40), "big") for x in "ab")
    # A pair whose shared secret begins with zeros, which must stay (RFC 7296 2.14).
    short = b
    while pow(pow(2, short, p), a, p) >> 2040:
        short += 1
    for title, b in (("group 14", b), ("group 14, shared secret with leading zeros", short)):
        f.case(title, dh=14, a=a.to_bytes(40, "big"), b=b.to_bytes(40, "big"),
               A=pow(2, a, p).to_bytes(256, "big"), B=pow(2, b, p).to_bytes(256, "big"),
               shared=pow(2, a * b, p).to_bytes(256, "big"))

    curves = [
        (19, ec.SECP256R1(), "8.1",
         "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
         "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
         "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"),
        (20, ec.SECP384R1(), "8.2",
         "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655"
         "E35B538041E649EE3FAEF896783AB194",
         "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942"
         "E0308312916B8ED2960E4BD55A7448FC",
         "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4"
         "D603135569B9E9D09CF5D4A270F59746"),
        (21, ec.SECP521R1(), "8.3",
         "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A0"
         "95AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
         "0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E"
         "9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9",
         "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04"
         "D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA"),
    ]
    for dh, curve, section, i, r, shared in curves:
        size = (curve.key_size + 7) // 8
        i, r = (h(x).rjust(size, b"\0") for x in (i, r))
        keys = [ec.derive_private_key(int.from_bytes(x, "big"), curve) for x in (i, r)]
        publics = [k.public_key().public_numbers() for k in keys]
        wire = [n.x.to_bytes(size, "big") + n.y.to_bytes(size, "big") for n in publics]
        got = keys[0].exchange(ec.ECDH(), keys[1].public_key())
        assert got == h(shared), section
        f.case("group %d, RFC 5903 %s" % (dh, section), dh=dh, a=i, b=r, A=wire[0], B=wire[1],
               shared=got)

    a = h("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    b = h("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    keys = [x25519.X25519PrivateKey.from_private_bytes(x) for x in (a, b)]
    publics = [k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for k in keys]
    assert publics[0] == h("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    assert publics[1] == h("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    shared = keys[0].exchange(keys[1].public_key())
    assert shared == h("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    f.case("group 31, RFC 7748 6.1", dh=31, a=a, b=b, A=publics[0], B=publics[1], shared=shared)
    return f


def cipher_file():
    f = File("cipher.txt", "AES-GCM: McGrew and Viega, The Galois/Counter Mode of Operation, appendix B,",
             "test cases 2, 4, 14 and 16 (the ones that NIST's validation took over).",
             "AES-CBC: RFC 3602 4, cases 1 and 2; NIST SP 800-38A F.2.1 and F.2.5.")
    key, key256 = "feffe9928665731c6d6a8f9467308308", "feffe9928665731c6d6a8f9467308308" * 2
    plain = ("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
             "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
    aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
    for title, k, iv, a, p, c, t in [
            ("case 2", "00" * 16, "00" * 12, "", "00" * 16, "0388dace60b6a392f328c2b971b2fe78",
             "ab6e47d42cec13bdf53a67b21257bddf"),
            ("case 4", key, "cafebabefacedbaddecaf888", aad, plain,
             "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
             "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
             "5bc94fbc3221a5db94fae95ae7121a47"),
            ("case 14", "00" * 32, "00" * 12, "", "00" * 16, "cea7403d4d606b6e074ec5d3baf39d18",
             "d0d1c8a799996bf0265b98b5d48ab919"),
            ("case 16", key256, "cafebabefacedbaddecaf888", aad, plain,
             "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
             "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
             "76fc6ece0f4e1768cddf8853bb2d551b")]:
        assert AESGCM(h(k)).encrypt(h(iv), h(p), h(a)) == h(c) + h(t), title
        f.case("AES-GCM " + title, mode="gcm", key=h(k), iv=h(iv), aad=h(a), plain=h(p), cipher=h(c),
               tag=h(t))
    sp = ("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
          "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
    for title, k, iv, p, c in [
            ("RFC 3602 case 1", "06a9214036b8a15b512e03d534120006",
             "3dafba429d9eb430b422da802c9fac41", b"Single block msg".hex(),
             "e353779c1079aeb82708942dbe77181a"),
            ("RFC 3602 case 2", "c286696d887c9aa0611bbb3e2025a45a",
             "562e17996d093d28ddb3ba695a2e6f58", bytes(range(32)).hex(),
             "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"),
            ("SP 800-38A F.2.1", "2b7e151628aed2a6abf7158809cf4f3c",
             "000102030405060708090a0b0c0d0e0f", sp,
             "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
             "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"),
            ("SP 800-38A F.2.5", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
             "000102030405060708090a0b0c0d0e0f", sp,
             "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
             "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b")]:
        enc = Cipher(algorithms.AES(h(k)), modes.CBC(h(iv))).encryptor()
        assert enc.update(h(p)) + enc.finalize() == h(c), title
        f.case("AES-CBC " + title, mode="cbc", key=h(k), iv=h(iv), plain=h(p), cipher=h(c))
    return f


def key_sizes(encr, bits, integ):
    return bits // 8 + (4 if encr == 20 else 0), 0 if encr == 20 else {12: 32, 13: 48, 14: 64}[integ]


def split(data, *sizes):
    out = []
    for size in sizes:
        out.append(data[:size])
        data = data[size:]
    assert not data
    return out


def keys_file():
    f = File("keys.txt", "prf+, SKEYSEED, key material of IKE SAs and CHILD_SAs, AUTH by shared key",
             "(RFC 7296 2.13 to 2.18), computed from the formulas with Python's hmac: see generate.py.")
    for number in (5, 6, 7):
        for size in (1, SIZE[number], SIZE[number] + 1, 255 * SIZE[number]):
            key, seed = stream("prf+ key", SIZE[number]), stream("prf+ seed %d" % size, 77)
            out = prf_plus(number, key, seed, size)
            f.case("prf+ %d, %d bytes" % (number, size), kind="prf+", prf=number, key=key, seed=seed,
                   size=size, sha256=hashlib.sha256(out).digest())
    suites = [(20, 256, 6, 0, 48), (20, 128, 5, 0, 32), (12, 256, 7, 14, 256), (12, 128, 5, 12, 66),
              (12, 256, 5, 13, 32)]
    for n, (encr, bits, p, integ, shared_size) in enumerate(suites):
        label = "suite %d" % n
        ni, nr = stream(label + " Ni", (32, 48, 256, 16, 33)[n]), stream(label + " Nr", 32)
        shared = stream(label + " shared", shared_size)
        spis = stream(label + " SPIs", 16)
        e, a = key_sizes(encr, bits, integ)
        sizes = (SIZE[p], a, a, e, e, SIZE[p], SIZE[p])
        names = ("d", "ai", "ar", "ei", "er", "pi", "pr")
        common = dict(encr=encr, bits=bits, prf=p, integ=integ, ni=ni, nr=nr, shared=shared)

        skeyseed = prf(p, ni + nr, shared)
        keys = split(prf_plus(p, skeyseed, ni + nr + spis, sum(sizes)), *sizes)
        f.case("IKE SA, initial, " + label, kind="initial", spi_i=spis[:8], spi_r=spis[8:], **common,
               **dict(zip(names, keys)))

        for old in (5, 6, 7):
            old_d = stream(label + " old SK_d", SIZE[old])
            skeyseed = prf(old, old_d, shared + ni + nr)
            keys = split(prf_plus(p, skeyseed, ni + nr + spis, sum(sizes)), *sizes)
            f.case("IKE SA, rekeyed from prf %d, %s" % (old, label), kind="rekey", old_prf=old,
                   old_d=old_d, spi_i=spis[:8], spi_r=spis[8:], **common, **dict(zip(names, keys)))

        d = stream(label + " SK_d", SIZE[p])
        for pfs in (b"", shared):
            keys = split(prf_plus(p, d, pfs + ni + nr, 2 * (e + a)), e, a, e, a)
            f.case("CHILD_SA, %s, %s" % ("PFS" if pfs else "no PFS", label), kind="child",
                   sk_d=d, **{**common, "shared": pfs}, **dict(zip(("ei", "ai", "er", "ar"), keys)))

        message, nonce, id_body = stream("message", 300), stream("nonce", 32), h("02000000") + b"gw.example"
        octets = message + nonce + prf(p, stream("SK_p", SIZE[p]), id_body)
        psk = stream("psk", 24)
        f.case("AUTH, shared key, prf %d, %s" % (p, label), kind="auth", prf=p, message=message,
               nonce=nonce, sk_p=stream("SK_p", SIZE[p]), id_body=id_body, octets=octets, psk=psk,
               auth=prf(p, prf(p, psk, b"Key Pad for IKEv2"), octets))
    return f


def sk_file():
    f = File("sk.txt", "Whole protected messages (RFC 7296 3.14, RFC 5282), sealed by python3-cryptography:",
             "see generate.py. `outer` is a payload in front of SK; `pad` counts the padding bytes.")
    header = h("0123456789abcdef fedcba9876543210")
    inner = h("00000008 01000000")  # a Delete of the IKE SA
    for encr, bits, integ in ((20, 128, 0), (20, 256, 0), (12, 128, 12), (12, 256, 13), (12, 256, 14)):
        e, a = key_sizes(encr, bits, integ)
        key, akey = stream("SK_e %d" % bits, e), stream("SK_a %d" % integ, a)
        block = 1 if encr == 20 else 16
        for first, text, outer, extra in ((42, inner, b"", 0), (0, b"", b"", 0), (42, inner, b"", 15),
                                          (42, inner, h("2e000008") + b"text", 0)):
            pad = -(len(text) + 1) % block + extra * block
            # Any padding will do for a receiver: this one counts down from 0xff.
            plain = text + bytes(255 - i % 256 for i in range(pad)) + bytes([pad])
            iv = stream("iv %d %d" % (encr, pad), 8 if encr == 20 else 16)
            icv_size = 16 if encr == 20 else INTEG[integ][1]
            sk_size = 4 + len(iv) + len(plain) + icv_size
            total = 28 + len(outer) + sk_size
            before = header + bytes([43 if outer else 46, 0x20, 37, 0x08]) + struct.pack(">II", 7, total)
            before += outer + bytes([first, 0]) + struct.pack(">H", sk_size)
            if encr == 20:
                message = before + iv + AESGCM(key[:-4]).encrypt(key[-4:] + iv, plain, before)
            else:
                enc = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
                message = before + iv + enc.update(plain) + enc.finalize()
                message += hmac.new(akey, message, INTEG[integ][0]).digest()[:icv_size]
            assert len(message) == total
            f.case("encr %d-%d integ %d, inner %d, outer %d, pad %d" %
                   (encr, bits, integ, len(text), len(outer), pad), encr=encr, bits=bits, integ=integ,
                   e=key, a=akey, iv=iv, first=first, pad=pad, outer=outer, inner=text,
                   message=message)
    return f


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    check = sys.argv[1:] == ["--check"]
    for f in (hmac_file(), dh_file(), cipher_file(), keys_file(), sk_file()):
        path = os.path.join(here, f.name)
        if check:
            with open(path, encoding="ascii") as old:
                if old.read() != f.text():
                    sys.exit(f.name + " is not what generate.py writes")
        else:
            with open(path, "w", encoding="ascii") as new:
                new.write(f.text())


if __name__ == "__main__":
    main()
