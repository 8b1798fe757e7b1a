# SPDX-License-Identifier: Apache-2.0
"""Packets through a gateway, against scapy as the other end: both directions, each algorithm,
native and in UDP, IPv4 and IPv6 inside."""

import copy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "esp"))
import dplab
import scapy_ciphers
from dplab import *
from scapy.all import (ESP, ICMP, IP, IPv6, Raw, SecurityAssociation, TCP, UDP, ICMPv6EchoRequest,
                       conf)

conf.verb = 0

KEY = bytes(range(1, 37))
IKEY = bytes(range(100, 164))
SPI_IN = 0x00700005
SPI_OUT = 0x12345678
SELECTORS = (("10.1.0.0/24", "10.2.0.0/24"), ("2001:db8:1::/64", "2001:db8:2::/64"),
             ("169.254.10.0/30", "169.254.10.0/30"))

# name, encr, bits, integ, size of ICV key, flags, scapy's cipher and integrity
SUITES = [
    ("gcm-128", GCM, 128, 0, 0, 0, "AES-GCM", 20, None),
    ("gcm-256", GCM, 256, 0, 0, 0, "AES-GCM", 36, None),
    ("gcm-256-esn", GCM, 256, 0, 0, ESN, "AES-GCM", 36, None),
    ("gcm-8", GCM_8, 256, 0, 0, 0, "AES-GCM-8", 36, None),
    ("gcm-12-esn", GCM_12, 128, 0, 0, ESN, "AES-GCM-12", 20, None),
    ("gmac", GMAC, 256, 0, 0, 0, "AES-GMAC", 36, None),
    ("gmac-esn", GMAC, 128, 0, 0, ESN, "AES-GMAC", 20, None),
    ("chacha20", CHACHA, 256, 0, 0, 0, "CHACHA20-POLY1305", 36, None),
    ("chacha20-esn", CHACHA, 0, 0, 0, ESN, "CHACHA20-POLY1305", 36, None),
    ("cbc-256-sha1", CBC, 256, SHA1, 20, 0, "AES-CBC", 32, "HMAC-SHA1-96"),
    ("cbc-128-sha256", CBC, 128, SHA256, 32, 0, "AES-CBC", 16, "SHA2-256-128"),
    ("cbc-256-sha256", CBC, 256, SHA256, 32, 0, "AES-CBC", 32, "SHA2-256-128"),
    ("cbc-256-sha384", CBC, 256, SHA384, 48, 0, "AES-CBC", 32, "SHA2-384-192"),
    ("cbc-256-sha512", CBC, 256, SHA512, 64, 0, "AES-CBC", 32, "SHA2-512-256"),
    ("cbc-256-sha256-esn", CBC, 256, SHA256, 32, ESN, "AES-CBC", 32, "SHA2-256-128"),
]


class EsnMac:
    """RFC 4303 2.2.1: the high half of the sequence number is authenticated after the packet.
    scapy knows this for AH and for GCM, not for ESP with an integrity algorithm."""

    def __init__(self, mac):
        self.mac = mac
        self.update = mac.update

    def finalize(self):
        self.mac.update(bytes(4))
        return self.mac.finalize()


def scapy_sa(spi, suite, src, dst, udp=False):
    _, _, _, integ, ikey, flags, cipher, size, auth = suite
    made = SecurityAssociation(
        ESP, spi=spi, crypt_algo=cipher, crypt_key=KEY[:size], auth_algo=auth,
        auth_key=IKEY[:ikey] if auth else None, esn_en=bool(flags & ESN), esn=0,
        tunnel_header=IP(src=src, dst=dst),
        nat_t_header=UDP(sport=4500, dport=4500) if udp else None)
    if auth and flags & ESN:
        plain = made.auth_algo
        made.auth_algo = copy.copy(plain)
        made.auth_algo.new_mac = lambda key: EsnMac(plain.new_mac(key))
    return made


class Forward(unittest.TestCase):
    def setUp(self):
        self.site = Site(backend=os.environ.get("DP_BACKEND", "auto"))
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.dp.fib(ROUTE_SET, route("2001:db8:2::/64", 0))

    def install(self, suite=SUITES[1], slot=5, udp=False, more_flags=0, **kw):
        _, encr, bits, integ, ikey, flags, _, size, _ = suite
        flags |= (UDP_ENCAP if udp else 0) | more_flags
        both = dict(flags=flags, encr=encr, bits=bits, integ=integ, key=KEY[:size],
                    ikey=IKEY[:ikey], selectors=SELECTORS,
                    ports=(4500, 4500) if udp else (0, 0))
        both.update(kw)
        self.dp.sa(SA_ADD_IN, sa(slot, SPI_IN & ~0xFFFFF | slot, 0, LOCAL, PEER, **both))
        self.dp.sa(SA_ADD_OUT, sa(slot, SPI_OUT, 0, LOCAL, PEER, **both))
        self.dp.sa(SA_SWITCH, ref(slot, 0))
        self.out_sa = scapy_sa(SPI_OUT, suite, LOCAL, PEER, udp)
        self.in_sa = scapy_sa(SPI_IN & ~0xFFFFF | slot, suite, PEER, LOCAL, udp)
        self.seq = 0

    def remove(self, slot=5):
        self.dp.sa(SA_DEL_OUT, ref(slot, 0))
        self.dp.sa(SA_DEL_IN, ref(slot, 0))

    def esp_in(self, inner):
        self.seq += 1
        outer = self.in_sa.encrypt(inner, seq_num=self.seq)
        if UDP in outer:
            outer[UDP].len = None  # scapy forgets what it put behind the header
        return outer

    def outward(self, inner):
        """Sends from the host; returns what the peer decrypts."""
        self.site.lan.send(inner)
        p = self.site.wan.recv()
        self.assertIsNotNone(p, "nothing came out\n" + str(self.dp.stats()["drops"]))
        outer = IP(p)
        self.assertEqual((outer.src, outer.dst), (LOCAL, PEER))
        return self.out_sa.decrypt(outer)

    def inward(self, inner):
        """Sends from the peer; returns what the host gets."""
        self.site.wan.send(self.esp_in(inner))
        p = self.site.lan.recv()
        self.assertIsNotNone(p, "nothing came in\n" + str(self.dp.stats()["drops"]))
        return IP(p) if p[0] >> 4 == 4 else IPv6(p)

    def same(self, got, sent, hop=1):
        """All as sent, but `hop` hops less."""
        want = sent.copy()
        if want.version == 4:
            want.ttl -= hop
        else:
            want.hlim -= hop
        self.assertEqual(bytes(got), bytes(want.__class__(bytes(want))))

    def both_ways(self):
        for n in (0, 1, 3, 64, 577, 1300):
            for proto in (4, 6):
                load = Raw(bytes(i & 255 for i in range(n)))
                if proto == 4:
                    a = IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=1000, dport=2000) / load
                    b = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=2000, dport=1000) / load
                else:
                    a = IPv6(src=HOST6, dst=REMOTE6) / UDP(sport=1000, dport=2000) / load
                    b = IPv6(src=REMOTE6, dst=HOST6) / UDP(sport=2000, dport=1000) / load
                self.same(self.outward(a), a)
                self.same(self.inward(b), b)

    def test_suites(self):
        for suite in SUITES:
            for udp in (False, True):
                with self.subTest(suite=suite[0], udp=udp):
                    self.install(suite, udp=udp)
                    try:
                        self.both_ways()
                    finally:
                        self.remove()
        self.assertEqual(self.dp.settled()["drops"], {})

    def test_ipv6_outside(self):
        ours, peer6 = "2001:db8:ff::1", "2001:db8:ff::254"
        for udp in (False, True):
            with self.subTest(udp=udp):
                flags, ports = (UDP_ENCAP, (4500, 4500)) if udp else (0, (0, 0))
                both = dict(flags=flags, ports=ports, key=KEY, selectors=SELECTORS)
                self.dp.sa(SA_ADD_IN, sa(5, SPI_IN, 0, ours, peer6, **both))
                self.dp.sa(SA_ADD_OUT, sa(5, SPI_OUT, 0, ours, peer6, **both))
                self.dp.sa(SA_SWITCH, ref(5, 0))
                there, back = (SecurityAssociation(
                    ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=KEY,
                    tunnel_header=IPv6(src=src, dst=dst))
                    for spi, src, dst in ((SPI_OUT, ours, peer6), (SPI_IN, peer6, ours)))
                for seq, (ip, host, remote) in enumerate(((IP, HOST, REMOTE_HOST),
                                                          (IPv6, HOST6, REMOTE6)), 1):
                    a = ip(src=host, dst=remote) / UDP(sport=1, dport=2) / b"out"
                    self.site.lan.send(a)
                    outer = IPv6(self.site.wan.recv())
                    self.assertEqual((outer.src, outer.dst), (ours, peer6))
                    if udp:
                        self.assertEqual((outer.nh, outer[UDP].sport, outer[UDP].dport),
                                         (17, 4500, 4500))
                        outer = IPv6(src=ours, dst=peer6, nh=50) / ESP(bytes(outer[UDP].payload))
                        outer = IPv6(bytes(outer))
                    self.same(there.decrypt(outer), a)
                    b = ip(src=remote, dst=host) / UDP(sport=2, dport=1) / b"in"
                    e = back.encrypt(b, seq_num=seq)
                    if udp:
                        e = IPv6(src=peer6, dst=ours) / UDP(sport=4500, dport=4500) / \
                            Raw(bytes(e[ESP]))
                    self.site.wan.send(e)
                    p = self.site.lan.recv()
                    self.assertIsNotNone(p, self.dp.stats()["drops"])
                    self.same(ip(p), b)
                self.remove()
        self.assertEqual(self.dp.settled()["drops"], {})

    def test_either_form_is_accepted(self):
        """RFC 7296 2.23: ESP bare and in UDP, whatever was agreed."""
        self.install(udp=False)
        a = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"native"
        self.same(self.inward(a), a)
        self.in_sa = scapy_sa(SPI_IN, SUITES[1], PEER, LOCAL, True)
        b = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"in UDP"
        self.same(self.inward(b), b)

    def test_inside_interface(self):
        """Linux speaks through the TUN: the peer's inside address answers, TTL untouched."""
        self.install()
        ping = subprocess.Popen(["ip", "netns", "exec", "gw", "ping", "-c", "1", "-W", "20", "-t",
                                 "1", "169.254.10.1"], stdout=subprocess.DEVNULL)
        p = self.site.wan.recv()
        inner = self.out_sa.decrypt(IP(p))
        self.assertEqual((inner.src, inner.dst, inner.ttl), ("169.254.10.2", "169.254.10.1", 1))
        answer = IP(src=inner.dst, dst=inner.src, ttl=255) / ICMP(
            type=0, id=inner[ICMP].id, seq=inner[ICMP].seq) / inner[ICMP].payload
        self.site.wan.send(self.esp_in(answer))
        self.assertEqual(ping.wait(), 0)
        t = self.dp.settled()["tunnels"][0]
        self.assertEqual((t["from_linux"], t["to_linux"]), (1, 1))
        # 1500 - outer 20 - ESP 8 - IV 8 - ICV 16, less padding to 4 with the 2-byte trailer
        self.assertEqual(t["mtu"], 1446)
        self.assertIn("mtu 1446", sh("ip", "link", "show", "tb0", ns="gw"))

    def test_events(self):
        self.install(limits=(3, 5, 0, 0))
        p = IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=1, dport=2) / b"x"
        q = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"x"
        self.inward(q)
        self.dp.event(EV_FIRST_IN, slot=5, spi=SPI_IN, tunnel=0, outbound=0)
        for _ in range(2):
            self.outward(p)
        self.assertFalse([e for e in self.dp.events if e["type"] == EV_SOFT])
        self.outward(p)
        self.dp.event(EV_SOFT, slot=5, outbound=1, spi=SPI_OUT)
        for _ in range(2):
            self.outward(p)
        self.site.lan.send(p)
        self.dp.event(EV_HARD, slot=5, outbound=1)
        self.assertIsNone(self.site.wan.recv(0.5))
        self.assertEqual(self.dp.settled()["drops"], {"esp-out-sequence-exhausted": 1})
        self.assertFalse([e for e in self.dp.events if e["type"] == EV_FIRST_IN])

    def test_peer_moves(self):
        self.install(udp=True)
        q = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"x"
        self.inward(q)
        self.assertFalse([e for e in self.dp.events if e["type"] == EV_MOVED])
        moved = self.esp_in(q)
        moved[UDP].sport = 40001
        del moved[IP].chksum
        self.site.wan.send(moved)
        self.dp.event(EV_MOVED, slot=5, remote=(PEER, 40001), local=(LOCAL, 4500))
        self.dp.event(EV_MOVED, slot=5, remote=(PEER, 40001))  # until it is answered
        self.dp.sa(SA_PEER, peer(5, UDP_ENCAP, LOCAL, PEER, (4500, 40001)))
        self.dp.events.clear()
        self.site.lan.drain()
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=1, dport=2) / b"x")
        p = IP(self.site.wan.recv())
        self.assertEqual(p[UDP].dport, 40001)
        time.sleep(1.5)
        self.dp.stats()
        self.assertFalse([e for e in self.dp.events if e["type"] == EV_MOVED])

    def test_port_of_each_flow(self):
        """Flows have source ports, which the other end does not take for a move of the peer."""
        self.install(udp=True, more_flags=PORT_ENTROPY)
        ports = {}
        for sport in [*range(1, 9)] * 2:
            self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=sport, dport=2) / b"x")
            p = IP(self.site.wan.recv())
            self.assertEqual((p[UDP].dport, p[UDP].chksum), (4500, 0))
            self.assertGreaterEqual(p[UDP].sport, 49152)
            self.assertEqual(ports.setdefault(sport, p[UDP].sport), p[UDP].sport)
        self.assertGreater(len(set(ports.values())), 4)
        q = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"x"
        for sport in [4500, *ports.values()]:
            e = self.esp_in(q)
            e[UDP].sport = sport
            del e[IP].chksum
            self.site.wan.send(e)
            self.same(IP(self.site.lan.recv()), q)
        self.dp.settled()
        time.sleep(0.3)
        self.dp.stats()
        self.assertFalse([e for e in self.dp.events if e["type"] == EV_MOVED])
        # Another address is a move, by the port that is known.
        e = self.esp_in(q)
        e[IP].src, e[UDP].sport = "192.0.2.77", 50001
        del e[IP].chksum
        self.site.wan.send(e)
        self.dp.event(EV_MOVED, slot=5, remote=("192.0.2.77", 4500), local=(LOCAL, 4500))

    def test_replayed_and_forged(self):
        self.install()
        q = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"x"
        e = self.esp_in(q)
        self.site.wan.send(e)
        self.assertIsNotNone(self.site.lan.recv())
        self.site.wan.send(e)
        bad = bytearray(bytes(self.esp_in(q)))
        bad[-1] ^= 1
        self.site.wan.send(bytes(bad))
        self.assertIsNone(self.site.lan.recv(0.5))
        s = self.dp.settled()
        self.assertEqual(s["drops"], {"esp-in-replayed": 1, "esp-in-integrity-failed": 1})
        self.assertEqual(s["sas"]["5"]["in_replayed"], 1)
        self.assertEqual(s["sas"]["5"]["in_auth_failed"], 1)
        self.assertEqual(s["tunnels"][0]["in_dropped"], 2)

    def test_unknown_spi(self):
        self.install()
        for spi in (0x00700006, 0x00800005, 0xFFFFFFFF):
            self.site.wan.send(IP(src=PEER, dst=LOCAL) / ESP(spi=spi, seq=1, data=bytes(64)))
        ev = self.dp.event(EV_SPI)
        self.assertEqual((ev["remote"], ev["local"]), ((PEER, 0), (LOCAL, 0)))
        self.assertEqual(self.dp.settled()["drops"], {"unknown-spi": 3})

    def test_unknown_spi_event(self):
        """What a notification INVALID_SPI needs (RFC 7296 1.5): the SPI, who sent it from where to
        which of our addresses; a port only if it came in UDP. Few of them, whatever comes."""
        self.install()
        ours6, peer6 = "2001:db8:ff::1", "2001:db8:ff::254"
        natt = UDP(sport=40123, dport=4500, chksum=0)
        cases = [
            (0x00700006, IP(src=PEER, dst=LOCAL), (PEER, 0), (LOCAL, 0)),
            (0x00700007, IP(src=PEER, dst=LOCAL) / natt, (PEER, 40123), (LOCAL, 4500)),
            (0x00700008, IPv6(src=peer6, dst=ours6), (peer6, 0), (ours6, 0)),
            (0x00700009, IPv6(src=peer6, dst=ours6) / natt, (peer6, 40123), (ours6, 4500)),
        ]
        for spi, outer, remote, local in cases:
            self.site.wan.send(outer / Raw(struct.pack("!II", spi, 1) + bytes(64))
                               if UDP in outer else outer / ESP(spi=spi, seq=1, data=bytes(64)))
            ev = self.dp.event(EV_SPI, spi=spi, slot=NONE, tunnel=NONE)
            self.assertEqual((ev["remote"], ev["local"]), (remote, local))
            time.sleep(0.6)
        start = time.monotonic()
        for spi in range(3000):
            self.site.wan.send(IP(src=PEER, dst=LOCAL) / ESP(spi=0x10000 + spi, seq=1,
                                                             data=bytes(64)))
            if spi % 512 == 511:
                self.site.keeps_up()
        self.assertEqual(self.dp.settled()["drops"], {"unknown-spi": 3004})
        n = len([e for e in self.dp.events if e["type"] == EV_SPI])
        self.assertGreater(n, 0)
        self.assertLessEqual(n, 5 * (2 + (time.monotonic() - start) / 0.5))

    def test_groups(self):
        """The first member that can send carries; without one the packet is dropped."""
        p = IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=1, dport=2) / b"x"
        both = dict(key=KEY, selectors=SELECTORS)
        for slot, tun, spi in ((5, 0, 0x1000), (6, 1, 0x2000)):
            self.dp.sa(SA_ADD_OUT, sa(slot, spi, tun, LOCAL, PEER, **both))
        self.dp.fib(GROUP_SET, group(0, 0, 1))

        def spi():
            self.site.lan.send(p)
            got = self.site.wan.recv(0.5)
            return IP(got)[ESP].spi if got else None
        self.assertIsNone(spi())
        self.dp.sa(SA_SWITCH, ref(6, 1))
        self.assertEqual(spi(), 0x2000)
        self.dp.sa(SA_SWITCH, ref(5, 0))
        self.assertEqual(spi(), 0x1000)
        self.dp.sa(SA_DEL_OUT, ref(5, 0))
        self.assertEqual(spi(), 0x2000)
        self.dp.fib(GROUP_SET, group(0))
        self.assertIsNone(spi())
        self.dp.fib(GROUP_SET, group(0, 1))
        self.assertEqual(spi(), 0x2000)
        self.dp.fib(ROUTE_SET, route("10.2.0.9/32", NONE))
        self.assertIsNone(spi())
        self.dp.fib(ROUTE_DEL, route("10.2.0.9/32", 0))
        self.assertEqual(spi(), 0x2000)
        self.dp.fib(GROUP_DEL, group(0))
        self.assertIsNone(spi())
        self.assertEqual(self.dp.settled()["drops"], {"no-tunnel": 3, "blackhole": 1})

    def test_sharing(self):
        """The first members share the flows as far as they can send, then the others follow in order;
        a flow stays where it is while its tunnel does, and so do the pieces of a packet."""
        for slot, tun in ((5, 0), (6, 1), (7, 2)):
            self.dp.sa(SA_ADD_OUT, sa(slot, 0x1000 + tun, tun, LOCAL, PEER, key=KEY, selectors=SELECTORS))
            self.dp.sa(SA_SWITCH, ref(slot, tun))
        self.dp.fib(GROUP_SET, group(0, 0, 1, 2, ecmp=2))

        def flows():
            for port in range(64):
                self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=port, dport=2) / b"x")
            return [IP(p)[ESP].spi - 0x1000 for p in self.site.wan.drain()]

        first = flows()
        self.assertEqual(len(first), 64)
        self.assertEqual(set(first), {0, 1})
        self.assertEqual(flows(), first)
        for part in range(8):
            self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST, id=9, flags="MF", frag=part * 3) / Raw(bytes([part] * 24)))
        self.assertEqual(len({IP(p)[ESP].spi for p in self.site.wan.drain()}), 1)
        for port in range(16):
            self.site.lan.send(IPv6(src=HOST6, dst=REMOTE6) / TCP(sport=port, dport=2))
        self.assertEqual({IP(p)[ESP].spi - 0x1000 for p in self.site.wan.drain()}, {0, 1})
        self.dp.sa(SA_DEL_OUT, ref(5, 0))
        self.assertEqual(set(flows()), {1})
        self.dp.sa(SA_DEL_OUT, ref(6, 1))
        self.assertEqual(set(flows()), {2})
        self.dp.sa(SA_DEL_OUT, ref(7, 2))
        self.assertEqual(flows(), [])
        self.assertEqual(self.dp.settled()["drops"], {"no-tunnel": 64})

    def test_default_route_spares_ike(self):
        """A tunnel that takes everything leaves its own IKE alone, and nothing else."""
        self.install(selectors=(("0.0.0.0/0", "0.0.0.0/0"),))
        self.dp.fib(ROUTE_SET, route("0.0.0.0/0", 0))
        code = ("import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
                f"s.bind(('{LOCAL}',%d)); s.sendto(b'ike',('{PEER}',%d))")
        sh("python3", "-c", code % (500, 500), ns="gw")
        p = IP(self.site.wan.recv())
        self.assertEqual((p.proto, p[UDP].dport, bytes(p[UDP].payload)), (17, 500, b"ike"))
        sh("python3", "-c", code % (5353, 53), ns="gw")
        p = IP(self.site.wan.recv())
        self.assertEqual((p.proto, p[ESP].spi), (50, SPI_OUT))

    def test_default_route_spares_links(self):
        """Nor does it take what belongs to a link: neighbours are found, and routing protocols heard."""
        self.install(selectors=(("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0")))
        self.dp.fib(ROUTE_SET, route("0.0.0.0/0", 0))
        self.dp.fib(ROUTE_SET, route("::/0", 0))
        before = self.dp.settled()["tunnels"][0]["to_linux"]
        for q in (IP(src="169.254.10.1", dst="224.0.0.5", ttl=1, proto=89) / b"hello",
                  IPv6(src="fe80::1", dst="ff02::5", hlim=1, nh=89) / b"hello"):
            self.site.wan.send(self.esp_in(q))
        self.assertEqual(self.dp.settled()["tunnels"][0]["to_linux"] - before, 2)
        # Of the host nothing is known yet: it is asked for on the port, not in the tunnel.
        q = IPv6(src=REMOTE6, dst=HOST6) / UDP(sport=1, dport=2) / b"x"
        self.same(self.inward(q), q)


if __name__ == "__main__":
    dplab.main()
