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

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HASH = {2: "sha1", 5: "sha256", 6: "sha384", 7: "sha512"}  # prf number -> hash
INTEG = {2: ("sha1", 12), 12: ("sha256", 16), 13: ("sha384", 24), 14: ("sha512", 32)}
SIZE = {2: 20, 5: 32, 6: 48, 7: 64}


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
             "(RFC 4868 2.3), where the key has the size that INTEG asks for. HMAC-SHA-1: RFC 2202 3; INTEG 2 is",
             "its first 12 bytes (RFC 2404).")
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
        key, data = stream("integ key", {2: 20, 12: 32, 13: 48, 14: 64}[integ]), stream("integ data", 99)
        f.case("integ %d" % integ, integ=integ, key=key, data=data,
               icv=hmac.new(key, data, name).digest()[:icv])
    for n, key, data, mac in ((1, b"\x0b" * 20, b"Hi There",
                               "b617318655057264e28bc0b6fb378c8ef146be00"),
                              (2, b"Jefe", b"what do ya want for nothing?",
                               "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
                              (6, b"\xaa" * 80,
                               b"Test Using Larger Than Block-Size Key - Hash Key First",
                               "aa4ae5e15272d00e95705637ce8a3b55ed402112")):
        assert prf(2, key, data) == h(mac)
        f.case("RFC 2202 3 case %d" % n, key=key, data=data, prf2=h(mac))
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


def modp_prime(bits, addend):
    """RFC 7296 B, RFC 3526: 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) pi) + addend)"""
    p = 2**bits - 2**(bits - 64) - 1 + 2**64 * (pi_scaled(bits - 130) + addend)
    assert pow(2, p - 1, p) == 1 and pow(2, (p - 1) // 2, p) == 1
    return p


# RFC 5114 2.1 to 2.3: p, g, q
RFC_5114 = {
    22: ("B10B8F96A080E01DDE92DE5EAE5D54EC52C99FBCFB06A3C69A6A9DCA52D23B616073E286"
         "75A23D189838EF1E2EE652C013ECB4AEA906112324975C3CD49B83BFACCBDD7D90C4BD70"
         "98488E9C219A73724EFFD6FAE5644738FAA31A4FF55BCCC0A151AF5F0DC8B4BD45BF37DF"
         "365C1A65E68CFDA76D4DA708DF1FB2BC2E4A4371",
         "A4D1CBD5C3FD34126765A442EFB99905F8104DD258AC507FD6406CFF14266D31266FEA1E"
         "5C41564B777E690F5504F213160217B4B01B886A5E91547F9E2749F4D7FBD7D3B9A92EE1"
         "909D0D2263F80A76A6A24C087A091F531DBF0A0169B6A28AD662A4D18E73AFA32D779D59"
         "18D08BC8858F4DCEF97C2A24855E6EEB22B3B2E5",
         "F518AA8781A8DF278ABA4E7D64B7CB9D49462353"),
    23: ("AD107E1E9123A9D0D660FAA79559C51FA20D64E5683B9FD1B54B1597B61D0A75E6FA141D"
         "F95A56DBAF9A3C407BA1DF15EB3D688A309C180E1DE6B85A1274A0A66D3F8152AD6AC212"
         "9037C9EDEFDA4DF8D91E8FEF55B7394B7AD5B7D0B6C12207C9F98D11ED34DBF6C6BA0B2C"
         "8BBC27BE6A00E0A0B9C49708B3BF8A317091883681286130BC8985DB1602E714415D9330"
         "278273C7DE31EFDC7310F7121FD5A07415987D9ADC0A486DCDF93ACC44328387315D75E1"
         "98C641A480CD86A1B9E587E8BE60E69CC928B2B9C52172E413042E9B23F10B0E16E79763"
         "C9B53DCF4BA80A29E3FB73C16B8E75B97EF363E2FFA31F71CF9DE5384E71B81C0AC4DFFE"
         "0C10E64F",
         "AC4032EF4F2D9AE39DF30B5C8FFDAC506CDEBE7B89998CAF74866A08CFE4FFE3A6824A4E"
         "10B9A6F0DD921F01A70C4AFAAB739D7700C29F52C57DB17C620A8652BE5E9001A8D66AD7"
         "C17669101999024AF4D027275AC1348BB8A762D0521BC98AE247150422EA1ED409939D54"
         "DA7460CDB5F6C6B250717CBEF180EB34118E98D119529A45D6F834566E3025E316A330EF"
         "BB77A86F0C1AB15B051AE3D428C8F8ACB70A8137150B8EEB10E183EDD19963DDD9E263E4"
         "770589EF6AA21E7F5F2FF381B539CCE3409D13CD566AFBB48D6C019181E1BCFE94B30269"
         "EDFE72FE9B6AA4BD7B5A0F1C71CFFF4C19C418E1F6EC017981BC087F2A7065B384B890D3"
         "191F2BFA",
         "801C0D34C58D93FE997177101F80535A4738CEBCBF389A99B36371EB"),
    24: ("87A8E61DB4B6663CFFBBD19C651959998CEEF608660DD0F25D2CEED4435E3B00E00DF8F1"
         "D61957D4FAF7DF4561B2AA3016C3D91134096FAA3BF4296D830E9A7C209E0C6497517ABD"
         "5A8A9D306BCF67ED91F9E6725B4758C022E0B1EF4275BF7B6C5BFC11D45F9088B941F54E"
         "B1E59BB8BC39A0BF12307F5C4FDB70C581B23F76B63ACAE1CAA6B7902D52526735488A0E"
         "F13C6D9A51BFA4AB3AD8347796524D8EF6A167B5A41825D967E144E5140564251CCACB83"
         "E6B486F6B3CA3F7971506026C0B857F689962856DED4010ABD0BE621C3A3960A54E710C3"
         "75F26375D7014103A4B54330C198AF126116D2276E11715F693877FAD7EF09CADB094AE9"
         "1E1A1597",
         "3FB32C9B73134D0B2E77506660EDBD484CA7B18F21EF205407F4793A1A0BA12510DBC150"
         "77BE463FFF4FED4AAC0BB555BE3A6C1B0C6B47B1BC3773BF7E8C6F62901228F8C28CBB18"
         "A55AE31341000A650196F931C77A57F2DDF463E5E9EC144B777DE62AAAB8A8628AC376D2"
         "82D6ED3864E67982428EBC831D14348F6F2F9193B5045AF2767164E1DFC967C1FB3F2E55"
         "A4BD1BFFE83B9C80D052B985D182EA0ADB2A3B7313D3FE14C8484B1E052588B9B7D2BBD2"
         "DF016199ECD06E1557CD0915B3353BBB64E0EC377FD028370DF92B52C7891428CDC67EB6"
         "184B523D1DB246C32F63078490F00EF8D647D148D47954515E2327CFEF98C582664B4C0F"
         "6CC41659",
         "8CF83642A709A097B447997640129DA299B1A47D1EB3750BA308B0FE64F5FBD3"),
}
# A.1: xA, xB, Z
RFC_5114_A1 = ("B9A3B3AE8FEFC1A2930496507086F8455D48943E", "9392C9F9EB6A7A6A9022F7D83E7223C6835BBDDA",
               "5C804F454D30D9C4DF85271F93528C91DF6B48AB5F80B3B59CAAC1B28F8ACBA9CD3E39F3CB614525"
               "D9521D2E644C53B807B810F340062F257D7D6FBFE8D5E8F072E9B6E9AFDA9413EAFB2E8B0699B1FB"
               "5A0CACEDDEAEAD7E9CFBB36AE2B420835BD83A19FB0B5E96BF8FA4D09E345525167ECD9155416F46"
               "F408ED31B63C6E6D")


def x448_cases(f):
    """RFC 7748 6.2"""
    a = h("9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391"
          "006382a6f127ab1d9ac2d8c0a598726b")
    b = h("1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21"
          "374c9c921b09d1b0366f10b65173992d")
    keys = [x448.X448PrivateKey.from_private_bytes(x) for x in (a, b)]
    publics = [k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for k in keys]
    shared = keys[0].exchange(keys[1].public_key())
    assert shared == h("07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c3"
                       "35543936521c24403085d59a449a5037514a879d")
    f.case("group 32, RFC 7748 6.2", dh=32, a=a, b=b, A=publics[0], B=publics[1], shared=shared)


def dh_file():
    f = File("dh.txt", "Key agreement. `a` and `b` are private values, `A` and `B` what KE payloads carry.",
             "Groups 2, 5, 14 to 18 (RFC 7296 B, RFC 3526): no published exchanges; the moduli are derived",
             "from their formulas (group 14: 2^2048 - 2^1984 - 1 + 2^64 * (floor(2^1918 pi) + 124476)), the",
             "rest is Python's pow(). Groups 22, 23, 24: numbers of RFC 5114 2, an exchange of its A.1 and two",
             "by pow(). Groups 19, 20, 21: RFC 5903 8.1, 8.2, 8.3. Groups 31, 32: RFC 7748 6.1, 6.2.")
    p = modp_prime(2048, 124476)
    a, b = (int.from_bytes(stream("modp " + x, 40), "big") for x in "ab")
    # A pair whose shared secret begins with zeros, which must stay (RFC 7296 2.14).
    short = b
    while pow(pow(2, short, p), a, p) >> 2040:
        short += 1
    for title, b in (("group 14", b), ("group 14, shared secret with leading zeros", short)):
        f.case(title, dh=14, a=a.to_bytes(40, "big"), b=b.to_bytes(40, "big"),
               A=pow(2, a, p).to_bytes(256, "big"), B=pow(2, b, p).to_bytes(256, "big"),
               shared=pow(2, a * b, p).to_bytes(256, "big"))

    for dh, bits, addend, size in ((2, 1024, 129093, 32), (5, 1536, 741804, 32),
                                   (15, 3072, 1690314, 53), (16, 4096, 240904, 60),
                                   (17, 6144, 929484, 68), (18, 8192, 4743158, 78)):
        q = modp_prime(bits, addend)
        x, y = (int.from_bytes(stream("modp %d %s" % (bits, n), size), "big") for n in "ab")
        f.case("group %d" % dh, dh=dh, a=x.to_bytes(size, "big"), b=y.to_bytes(size, "big"),
               A=pow(2, x, q).to_bytes(bits // 8, "big"), B=pow(2, y, q).to_bytes(bits // 8, "big"),
               shared=pow(2, x * y, q).to_bytes(bits // 8, "big"))
    for dh, numbers in RFC_5114.items():
        q, g, order = (int(n, 16) for n in numbers)
        assert pow(g, order, q) == 1 and (q - 1) % order == 0
        size, width = len(numbers[2]) // 2, len(numbers[0]) // 2
        x, y = (1 + int.from_bytes(stream("group %d %s" % (dh, n), size), "big") % (order - 1)
                for n in "ab")
        if dh == 22:
            x, y = (int(n, 16) for n in RFC_5114_A1[:2])
            assert pow(g, x * y, q) == int(RFC_5114_A1[2], 16)
        f.case("group %d%s" % (dh, ", RFC 5114 A.1" if dh == 22 else ""), dh=dh,
               a=x.to_bytes(size, "big"), b=y.to_bytes(size, "big"),
               A=pow(g, x, q).to_bytes(width, "big"), B=pow(g, y, q).to_bytes(width, "big"),
               shared=pow(g, x * y, q).to_bytes(width, "big"))
    x448_cases(f)

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
             "test cases 2, 4, 10, 14 and 16 (the ones that NIST's validation took over).",
             "ChaCha20-Poly1305: RFC 8439 2.8.2.",
             "AES-CBC: RFC 3602 4, cases 1 and 2; NIST SP 800-38A F.2.1, F.2.3 and F.2.5.")
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
    # 192-bit keys: McGrew and Viega, case 10
    key192 = h("feffe9928665731c6d6a8f9467308308feffe9928665731c")
    text = AESGCM(key192).encrypt(h("cafebabefacedbaddecaf888"), h(plain), h(aad))
    assert text[-16:] == h("2519498e80f1478f37ba55bd6d27618c")
    f.case("AES-GCM case 10", mode="gcm", key=key192, iv=h("cafebabefacedbaddecaf888"), aad=h(aad),
           plain=h(plain), cipher=text[:-16], tag=text[-16:])
    sunscreen = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
                 b"future, sunscreen would be it.")
    key = bytes(range(0x80, 0xa0))
    nonce, header = h("070000004041424344454647"), h("50515253c0c1c2c3c4c5c6c7")
    text = ChaCha20Poly1305(key).encrypt(nonce, sunscreen, header)
    assert text[-16:] == h("1ae10b594f09e26a7e902ecbd0600691")
    f.case("ChaCha20-Poly1305, RFC 8439 2.8.2", mode="chacha20-poly1305", key=key, iv=nonce, aad=header,
           plain=sunscreen, cipher=text[:-16], tag=text[-16:])
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
            ("SP 800-38A F.2.3", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
             "000102030405060708090a0b0c0d0e0f", sp,
             "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
             "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"),
            ("SP 800-38A F.2.5", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
             "000102030405060708090a0b0c0d0e0f", sp,
             "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
             "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b")]:
        enc = Cipher(algorithms.AES(h(k)), modes.CBC(h(iv))).encryptor()
        assert enc.update(h(p)) + enc.finalize() == h(c), title
        f.case("AES-CBC " + title, mode="cbc", key=h(k), iv=h(iv), plain=h(p), cipher=h(c))
    return f


def key_sizes(encr, bits, integ):
    if encr == 12:
        return bits // 8, {2: 20, 12: 32, 13: 48, 14: 64}[integ]
    return (bits or 256) // 8 + 4, 0


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
    for number in (2, 5, 6, 7):
        for size in (1, SIZE[number], SIZE[number] + 1, 255 * SIZE[number]):
            key, seed = stream("prf+ key", SIZE[number]), stream("prf+ seed %d" % size, 77)
            out = prf_plus(number, key, seed, size)
            f.case("prf+ %d, %d bytes" % (number, size), kind="prf+", prf=number, key=key, seed=seed,
                   size=size, sha256=hashlib.sha256(out).digest())
    suites = [(20, 256, 6, 0, 48), (20, 128, 5, 0, 32), (12, 256, 7, 14, 256), (12, 128, 5, 12, 66),
              (12, 256, 5, 13, 32), (28, 0, 7, 0, 32), (12, 192, 2, 2, 1024), (18, 192, 2, 0, 56)]
    for n, (encr, bits, p, integ, shared_size) in enumerate(suites):
        label = "suite %d" % n
        ni, nr = stream(label + " Ni", (32, 48, 256, 16, 33, 32, 20, 32)[n]), stream(label + " Nr", 32)
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

        for old in (2, 5, 6, 7):
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
    f = File("sk.txt", "Whole protected messages (RFC 7296 3.14, RFC 5282, RFC 7634 2), sealed by python3-cryptography:",
             "see generate.py. `outer` is a payload in front of SK; `pad` counts the padding bytes.")
    header = h("0123456789abcdef fedcba9876543210")
    inner = h("00000008 01000000")  # a Delete of the IKE SA
    for encr, bits, integ in ((20, 128, 0), (20, 256, 0), (12, 128, 12), (12, 256, 13), (12, 256, 14),
                              (12, 192, 2), (20, 192, 0), (19, 256, 0), (18, 128, 0), (28, 0, 0)):
        e, a = key_sizes(encr, bits, integ)
        key, akey = stream("SK_e %d" % bits, e), stream("SK_a %d" % integ, a)
        block = 16 if encr == 12 else 1
        for first, text, outer, extra in ((42, inner, b"", 0), (0, b"", b"", 0), (42, inner, b"", 15),
                                          (42, inner, h("2e000008") + b"text", 0)):
            pad = -(len(text) + 1) % block + extra * block
            # Any padding will do for a receiver: this one counts down from 0xff.
            plain = text + bytes(255 - i % 256 for i in range(pad)) + bytes([pad])
            iv = stream("iv %d %d" % (encr, pad), 16 if encr == 12 else 8)
            icv_size = INTEG[integ][1] if encr == 12 else {18: 8, 19: 12}.get(encr, 16)
            sk_size = 4 + len(iv) + len(plain) + icv_size
            total = 28 + len(outer) + sk_size
            before = header + bytes([43 if outer else 46, 0x20, 37, 0x08]) + struct.pack(">II", 7, total)
            before += outer + bytes([first, 0]) + struct.pack(">H", sk_size)
            if encr != 12:
                aead = (ChaCha20Poly1305 if encr == 28 else AESGCM)(key[:-4])
                sealed = aead.encrypt(key[-4:] + iv, plain, before)
                message = before + iv + sealed[:len(plain) + icv_size]
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
