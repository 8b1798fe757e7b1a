#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ESP against an independent implementation: scapy.

Each case sends packets both ways: what Twinbore seals, scapy opens; what scapy seals, Twinbore
opens. Before that the oracle proves itself on RFC 4868 and RFC 2202, and our vector files on the
oracle. scapy_ciphers.py has what scapy lacks.
Output: TAP. Usage: oracle_scapy.py ESP_TOOL VECTORS_DIRECTORY
"""
import hmac
import itertools
import logging
import os
import struct
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("scapy").setLevel(logging.ERROR)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305  # noqa: E402
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation  # noqa: E402
from scapy.packet import Raw, raw  # noqa: E402
import scapy_ciphers  # noqa: E402,F401

HASHES = {2: ("sha1", 20, 12, "HMAC-SHA1-96"),
          12: ("sha256", 32, 16, "SHA2-256-128"),
          13: ("sha384", 48, 24, "SHA2-384-192"),
          14: ("sha512", 64, 32, "SHA2-512-256")}
CBC, GCM_8, GCM_12, GCM_16, GMAC, CHACHA = 12, 18, 19, 20, 21, 28
CIPHERS = {CBC: "AES-CBC", GCM_8: "AES-GCM-8", GCM_12: "AES-GCM-12", GCM_16: "AES-GCM",
           GMAC: "AES-GMAC", CHACHA: "CHACHA20-POLY1305"}
GCM_ICVS = {GCM_8: 8, GCM_12: 12, GCM_16: 16}
SUITES = [(encr, bits, 0) for encr in (GCM_8, GCM_12, GCM_16, GMAC) for bits in (128, 192, 256)] + \
         [(CHACHA, 256, 0)] + \
         [(CBC, bits, integ) for bits in (128, 192, 256) for integ in HASHES]
# One of each layout: IV, alignment and ICV.
WHOLE = [(encr, 256, 0) for encr in (GCM_8, GCM_12, GCM_16, GMAC, CHACHA)] + \
        [(CBC, 256, integ) for integ in HASHES]
OUTER = ["v4", "v4-udp", "v6", "v6-udp"]
SPI = 0xC0DE0042
ESN_HIGH = 5


def read_vectors(path):
    """Blocks of "key = value", separated by empty lines."""
    block = {}
    with open(path) as f:
        for line in list(f) + ["\n"]:
            line = line.strip()
            if not line and block:
                yield block
                block = {}
            elif "=" in line and not line.startswith("#"):
                key, value = line.split("=", 1)
                block[key.strip()] = value.strip()


def prove_hmac(vector):
    got = hmac.new(bytes.fromhex(vector["key"]), bytes.fromhex(vector["data"]), vector["hash"])
    assert got.hexdigest().startswith(vector["icv"]), got.hexdigest()
    assert len(vector["icv"]) == 2 * next(h[2] for h in HASHES.values() if h[0] == vector["hash"])


def prove_aead(vector):
    key, plain, esp = (bytes.fromhex(vector[k]) for k in ("key", "plain", "esp"))
    high = bytes.fromhex(vector["seq_hi"]) if vector["esn"] == "1" else b""
    encr, aad, nonce = int(vector["encr"]), esp[:4] + high + esp[4:8], key[-4:] + esp[8:16]
    if encr == GMAC:
        assert esp[16:-16] == plain
        assert AESGCM(key[:-4]).encrypt(nonce, b"", aad + esp[8:16] + plain) == esp[-16:]
        return
    cipher = ChaCha20Poly1305(key[:-4]) if encr == CHACHA else AESGCM(key[:-4])
    sealed = cipher.encrypt(nonce, plain, aad)
    assert sealed[:len(plain) + GCM_ICVS.get(encr, 16)] == esp[16:]


def prove_cbc(vector):
    key, ikey, plain, esp = (bytes.fromhex(vector[k])
                             for k in ("key", "integ_key", "plain", "esp"))
    name, _, icv_size, _ = HASHES[int(vector["integ"])]
    high = bytes.fromhex(vector["seq_hi"]) if vector["esn"] == "1" else b""
    body, icv = esp[:-icv_size], esp[-icv_size:]
    e = Cipher(algorithms.AES(key), modes.CBC(esp[8:24])).encryptor()
    assert e.update(plain) == body[24:]
    assert hmac.new(ikey, body + high, name).digest()[:icv_size] == icv


class Tool:
    """Our side: a child that speaks lines of hex."""

    def __init__(self, path):
        self.child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().split()

    def packet(self, verb, data):
        answer = self.ask("%s %s" % (verb, data.hex()))
        assert answer and answer[0] == "ok", "%s: %s" % (verb, " ".join(answer))
        return bytes.fromhex(answer[1])

    def close(self):
        self.child.stdin.close()
        assert self.child.wait() == 0


class Peer:
    """Scapy's side of one SA. It knows no ESN for separate integrity: that ICV is made here."""

    def __init__(self, suite, esn, outer, key, ikey):
        encr, _, self.integ = suite
        self.icv_size = HASHES[self.integ][2] if self.integ else GCM_ICVS.get(encr, 16)
        self.esn, self.udp, self.v6 = esn, outer.endswith("udp"), outer.startswith("v6")
        self.ikey = ikey
        if self.v6:
            header = IPv6(src="2001:db8::2", dst="2001:db8::1")
        else:
            header = IP(src="198.51.100.2", dst="192.0.2.1")
        self.sa = SecurityAssociation(
            ESP, spi=SPI, crypt_algo=CIPHERS[encr], crypt_key=key,
            auth_algo=HASHES[self.integ][3] if self.integ else None,
            auth_key=ikey if self.integ else None, tunnel_header=header,
            nat_t_header=UDP(sport=4500, dport=4500) if self.udp else None,
            esn_en=bool(esn))
        self.set_high(ESN_HIGH if esn else 0)

    def set_high(self, high):
        self.high = self.sa.esn = high

    def own_icv(self, esp_without_icv):
        data = esp_without_icv + struct.pack("!L", self.high)
        return hmac.new(self.ikey, data, HASHES[self.integ][0]).digest()[:self.icv_size]

    def esp_offset(self):
        return (40 if self.v6 else 20) + (8 if self.udp else 0)

    def open(self, data):
        pkt = IPv6(data) if self.v6 else IP(data)
        if not pkt.haslayer(ESP):  # UDP to ports that scapy does not know
            pkt[UDP].payload = ESP(data[self.esp_offset():])
        verify = True
        if self.integ and self.esn:
            body = data[self.esp_offset():-self.icv_size]
            if self.own_icv(body) != data[-self.icv_size:]:
                raise IPSecIntegrityError("own ICV")
            verify = False
        if self.integ:
            self.sa.crypt_icv_size = self.icv_size
        return raw(self.sa.decrypt(pkt, verify=verify))

    def seal(self, inner, seq):
        cls = IPv6 if inner[0] >> 4 == 6 else IP
        self.sa.crypt_icv_size = None
        data = raw(self.sa.encrypt(cls(inner), seq_num=seq))
        if self.integ and self.esn:
            size = self.icv_size
            data = data[:-size] + self.own_icv(data[self.esp_offset():-size])
        if self.udp and not self.v6:
            # scapy 2.5.0 fills in the UDP length before the payload is there
            data = data[:24] + struct.pack("!H", len(data) - 20) + data[26:]
        return data


def inner_packets():
    """Every residue of the block size, both families, some real headers."""
    for size in list(range(0, 34)) + [63, 64, 65, 127, 128, 129, 172, 536, 1000, 1372]:
        yield raw(IP(src="10.1.0.1", dst="10.2.0.2", ttl=64, id=size) / UDP(sport=9, dport=9) /
                  Raw(bytes(i & 255 for i in range(size))))
    yield raw(IP(src="10.1.0.1", dst="10.2.0.2", ttl=2, flags="DF") / TCP(dport=80) / b"x")
    yield raw(IP(src="10.1.0.1", dst="10.2.0.2", options=[]) / ICMP())
    for size in (0, 1, 5, 13, 1000):
        yield raw(IPv6(src="fd00:1::1", dst="fd00:2::2", hlim=64) / UDP(sport=9, dport=9) /
                  Raw(bytes(size)))


def forwarded(data):
    """What a router makes of a packet: one TTL less, the checksum right."""
    if data[0] >> 4 == 6:
        p = IPv6(data)
        p.hlim -= 1
        return raw(p)
    p = IP(data)
    p.ttl -= 1
    del p.chksum
    return raw(p)


def check_outer(data, outer, seq):
    """Scapy's opinion of our outer headers."""
    p = IPv6(data) if outer.startswith("v6") else IP(data)
    if outer.startswith("v4"):
        chksum = p.chksum
        del p.chksum
        assert IP(raw(p)).chksum == chksum, "outer IPv4 checksum"
        assert p.len == len(data)
    else:
        assert p.plen == len(data) - 40
    if outer.endswith("udp"):
        udp = p[UDP]
        assert (udp.sport, udp.dport) == (4500, 4500)
        assert udp.len == len(data) - (40 if p.version == 6 else 20)
        if p.version == 4:
            assert udp.chksum == 0
        else:
            chksum = udp.chksum
            del udp.chksum
            assert chksum != 0 and IPv6(raw(p))[UDP].chksum == chksum, "UDP checksum"
    at = (40 if p.version == 6 else 20) + (8 if outer.endswith("udp") else 0)
    assert struct.unpack("!LL", data[at:at + 8]) == (SPI, seq)


def run_case(tool, suite, esn, outer, backend):
    encr, bits, integ = suite
    key = os.urandom(bits // 8 + (0 if encr == CBC else 4))
    ikey = os.urandom(HASHES[integ][1] if integ else 0)
    v6 = outer.startswith("v6")
    first = (ESN_HIGH << 32) + 1000 if esn else 1000
    port = ",4500" if outer.endswith("udp") else ""
    answer = tool.ask(
        "sa backend=%s encr=%d bits=%d integ=%d esn=%d udp=%d spi=%d seq=%d key=%s integ_key=%s "
        "local=%s%s remote=%s%s" %
        (backend, encr, bits, integ, esn, bool(port), SPI, first, key.hex(), ikey.hex() or "00",
         "2001:db8::1" if v6 else "192.0.2.1", port,
         "2001:db8::2" if v6 else "198.51.100.2", port))
    assert answer == ["ok"], answer
    peer = Peer(suite, esn, outer, key, ikey)
    if esn:
        walk_to_high(tool, peer)
    seq = 1000
    # The other backends are compared with the first at every size, elsewhere.
    for inner in itertools.islice(inner_packets(), 0, None, 1 if backend == "ipsec-mb" else 5):
        sealed = tool.packet("encap", inner)
        check_outer(sealed, outer, seq)
        assert peer.open(sealed) == forwarded(inner), "scapy read another packet"
        spoilt = bytearray(sealed)
        spoilt[-20] ^= 1
        try:
            peer.open(bytes(spoilt))
            raise AssertionError("the oracle accepts anything")
        except IPSecIntegrityError:
            pass
        sealed = peer.seal(inner, seq)
        assert tool.packet("decap", sealed) == inner, "we read another packet"
        assert tool.ask("decap " + sealed.hex()) == ["drop", "esp-in-replayed"]
        seq += 1


def walk_to_high(tool, peer):
    """A new window starts at 0. Takes it to the last subspace in steps below 2^32."""
    ping = raw(IP(src="10.1.0.1", dst="10.2.0.2") / ICMP())
    for high in range(ESN_HIGH):
        peer.set_high(high)
        for low in (1, 0x80000000, 0xFFFFFF00):
            tool.packet("decap", peer.seal(ping, low))
    peer.set_high(ESN_HIGH)


def main():
    tool = Tool(sys.argv[1])
    cases = []
    for name, prove in (("hmac", prove_hmac), ("gcm", prove_aead), ("gmac", prove_aead),
                        ("chacha20", prove_aead), ("cbc", prove_cbc)):
        for v in read_vectors(os.path.join(sys.argv[2], name + ".txt")):
            cases.append(("oracle proves " + v["name"], prove, (v,)))
    for backend in tool.ask("backends"):
        for suite in SUITES:
            if tool.ask("serves %s %d %d %d" % ((backend,) + suite)) != ["yes"]:
                continue
            for esn in (0, 1):
                # The outer forms know nothing of backends or keys: one of each size is enough.
                for outer in OUTER if backend == "ipsec-mb" and suite in WHOLE else OUTER[:1]:
                    name = "%s encr=%d bits=%d integ=%d esn=%d %s" % ((backend,) + suite +
                                                                     (esn, outer))
                    cases.append((name, run_case, (tool, suite, esn, outer, backend)))
    print("1..%d" % len(cases), flush=True)
    failed = 0
    for i, (name, run, args) in enumerate(cases, 1):
        try:
            run(*args)
            print("ok %d - %s" % (i, name), flush=True)
        except Exception as e:  # any failure is this case's failure
            failed += 1
            print("not ok %d - %s\n# %s: %s" % (i, name, type(e).__name__, e), flush=True)
    tool.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
