# SPDX-License-Identifier: Apache-2.0
"""Hostile ring messages: each is refused with its status and changes nothing, and a producer that
breaks its ring's rules loses the ring, not the dataplane."""

import random

import dplab
from dplab import *
from scapy.all import ESP, IP, UDP

SPI = 0x00700005
BAD_ADDR = struct.pack("B16s3x", 5, bytes(16))


def put(body, at, fmt, *values):
    return body[:at] + struct.pack("<" + fmt, *values) + body[at + struct.calcsize("<" + fmt):]


# offsets in struct dp_sa
O_SLOT, O_SPI, O_TUNNEL, O_FLAGS, O_ENCR, O_BITS, O_INTEG, O_WINDOW = 0, 4, 8, 12, 16, 18, 20, 22
O_NTS, O_RESOURCE, O_ZERO, O_LOCAL, O_REMOTE, O_FIRST, O_TS = 124, 128, 132, 136, 160, 216, 224


def good_in(slot=6, **kw):
    return sa(slot, 0x00700000 | slot, 0, LOCAL, PEER, **kw)


def good_out(slot=6, **kw):
    return sa(slot, 0x5000, 0, LOCAL, PEER, **kw)


SA_CASES = [
    # what, body of ADD_IN (None: not for it), body of ADD_OUT, status
    ("slot out of range", put(good_in(), O_SLOT, "I", 1 << 20), put(good_out(), O_SLOT, "I", 1 << 20),
     E_MALFORMED),
    ("slot none", put(good_in(), O_SLOT, "I", NONE), put(good_out(), O_SLOT, "I", NONE), E_MALFORMED),
    ("SPI of another slot", put(good_in(), O_SPI, "I", 0x00700007), None, E_MALFORMED),
    ("SPI zero", put(good_in(), O_SPI, "I", 0), put(good_out(), O_SPI, "I", 0), E_MALFORMED),
    ("reserved SPI", put(good_in(), O_SPI, "I", 6), put(good_out(), O_SPI, "I", 255), E_MALFORMED),
    ("tunnel out of range", put(good_in(), O_TUNNEL, "I", 100000),
     put(good_out(), O_TUNNEL, "I", 100000), E_MALFORMED),
    ("unknown flag", put(good_in(), O_FLAGS, "I", 64), put(good_out(), O_FLAGS, "I", 1 << 31),
     E_MALFORMED),
    ("DF set and clear", put(good_in(), O_FLAGS, "I", 24), put(good_out(), O_FLAGS, "I", 24),
     E_MALFORMED),
    ("unknown cipher", put(good_in(), O_ENCR, "H", 3), put(good_out(), O_ENCR, "H", 65535),
     E_UNSUPPORTED),
    ("key length", put(good_in(), O_BITS, "H", 255), put(good_out(), O_BITS, "H", 0),
     E_UNSUPPORTED),
    ("neighbours of known ciphers", put(good_in(), O_ENCR, "H", 17),
     put(good_out(), O_ENCR, "H", 22), E_UNSUPPORTED),
    ("a known number in the low byte", put(good_in(), O_ENCR, "H", 256 + 20),
     put(good_out(), O_ENCR, "H", 256 + 28), E_UNSUPPORTED),
    ("ChaCha20 of 128 bits", good_in(encr=CHACHA, bits=128), good_out(encr=CHACHA, bits=512),
     E_UNSUPPORTED),
    ("AES without a key length", good_in(encr=GMAC, bits=0), good_out(encr=GCM_8, bits=0),
     E_UNSUPPORTED),
    ("AEADs with integrity", good_in(encr=CHACHA, integ=SHA1), good_out(encr=GMAC, integ=SHA256),
     E_UNSUPPORTED),
    ("short ICV with integrity", good_in(encr=GCM_8, integ=SHA1), good_out(encr=GCM_12, integ=1),
     E_UNSUPPORTED),
    ("CBC with an unknown integrity", good_in(encr=CBC, integ=1), good_out(encr=CBC, integ=258),
     E_UNSUPPORTED),
    ("AEAD with integrity", put(good_in(), O_INTEG, "H", 12), put(good_out(), O_INTEG, "H", 12),
     E_UNSUPPORTED),
    ("CBC without integrity", put(good_in(), O_ENCR, "H", 12), put(good_out(), O_ENCR, "H", 12),
     E_UNSUPPORTED),
    ("window too small", put(good_in(), O_WINDOW, "H", 63), None, E_MALFORMED),
    ("window too large", put(good_in(), O_WINDOW, "H", 4097), None, E_MALFORMED),
    ("no selectors", put(good_in(), O_NTS, "I", 0), put(good_out(), O_NTS, "I", 0), E_MALFORMED),
    ("too many selectors", put(good_in(), O_NTS, "I", 37), put(good_out(), O_NTS, "I", NONE),
     E_MALFORMED),
    ("a worker to send by", None, put(good_out(), O_RESOURCE, "I", 1), E_MALFORMED),
    ("not zero", put(good_in(), O_ZERO, "I", 1), put(good_out(), O_ZERO, "I", 1), E_MALFORMED),
    ("bad local family", put(good_in(), O_LOCAL, "B", 5), put(good_out(), O_LOCAL, "B", 0),
     E_MALFORMED),
    ("mixed families", put(good_in(), O_REMOTE, "B", 6), put(good_out(), O_REMOTE, "B", 6),
     E_MALFORMED),
    ("address padding", put(good_in(), O_LOCAL + 17, "B", 1), put(good_out(), O_LOCAL + 17, "B", 1),
     E_MALFORMED),
    ("IPv4 with a tail", put(good_in(), O_REMOTE + 5, "B", 1), put(good_out(), O_REMOTE + 5, "B", 1),
     E_MALFORMED),
    ("endpoint padding", put(good_in(), O_LOCAL + 22, "H", 1), put(good_out(), O_LOCAL + 22, "H", 1),
     E_MALFORMED),
    ("first sequence number 0", None, put(good_out(), O_FIRST, "Q", 0), E_MALFORMED),
    ("sequence beyond 32 bits", None, put(good_out(), O_FIRST, "Q", 1 << 32), E_MALFORMED),
    ("selector family", put(good_in(), O_TS, "B", 6), put(good_out(), O_TS, "B", 0), E_MALFORMED),
    ("selector upside down", put(good_in(), O_TS + 1, "B", 11), put(good_out(), O_TS + 1, "B", 11),
     E_MALFORMED),
    ("selector padding", put(good_in(), O_TS + 95, "B", 1), put(good_out(), O_TS + 95, "B", 1),
     E_MALFORMED),
    ("slot in use", sa(5, 0x00800005, 0, LOCAL, PEER), sa(5, 0x6000, 0, LOCAL, PEER), E_EXISTS),
]

REF_CASES = [
    # message type, body, status
    (SA_SWITCH, ref(1 << 20, 0), E_MALFORMED),
    (SA_SWITCH, ref(5, 100000), E_MALFORMED),
    (SA_SWITCH, ref(7, 0), E_NO_SUCH),
    (SA_SWITCH, ref(5, 1), E_NO_SUCH),  # of another tunnel
    (SA_SWITCH, ref(5, 0, 2), E_MALFORMED),  # there is one worker
    (SA_SWITCH, ref(NONE, 0, NONE), E_MALFORMED),
    (SA_SWITCH, ref(5, 0, 0, 1), E_MALFORMED),
    (SA_DEL_IN, ref(1 << 20), E_MALFORMED),
    (SA_DEL_IN, ref(7), E_NO_SUCH),
    (SA_DEL_OUT, ref(NONE), E_MALFORMED),
    (SA_DEL_OUT, ref(7), E_NO_SUCH),
    (SA_PEER, peer(1 << 20, 0, LOCAL, PEER), E_MALFORMED),
    (SA_PEER, peer(7, 0, LOCAL, PEER), E_NO_SUCH),
    (SA_PEER, peer(5, 64, LOCAL, PEER), E_MALFORMED),
    (SA_PEER, peer(5, 0, LOCAL, "2001:db8::1"), E_MALFORMED),
    (SA_PEER, peer(5, 0, LOCAL, PEER)[:8] + BAD_ADDR + bytes(28), E_MALFORMED),
    (0, b"", E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t"), E_MALFORMED),  # on the wrong ring
    (ROUTE_DEL, route("10.2.0.0/24", 0), E_MALFORMED),
    (ROUTES, routes(("10.3.0.0/24", 0)), E_MALFORMED),
    (16, b"", E_MALFORMED),
    (0xFFFFFFFF, b"", E_MALFORMED),
]

FIB_CASES = [
    (TUNNEL_SET, tunnel(100000, "t"), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, ""), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "a/b"), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "a\x01"), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "x" * 32), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t", "y" * 16), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t", "../etc"), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t", ".."), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t", "tb1", mtu=100), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t", "tb1", mtu=65536), E_MALFORMED),
    (TUNNEL_SET, put(tunnel(1, "t", "tb1", ["10.0.0.1/30"]), 96, "B", 33), E_MALFORMED),
    (TUNNEL_SET, put(tunnel(1, "t", "tb1", ["10.0.0.1/30"]), 56, "B", 9), E_MALFORMED),
    (TUNNEL_SET, tunnel(1, "t", "lan"), E_SYSTEM),  # somebody else's interface
    (TUNNEL_DEL, tunnel(1, "t"), E_NO_SUCH),
    (TUNNEL_DEL, tunnel(100000, "t"), E_MALFORMED),
    (GROUP_SET, group(100000, 0), E_MALFORMED),
    (GROUP_SET, group(1, 100000), E_MALFORMED),
    (GROUP_SET, put(group(1, 0), 4, "I", 9), E_MALFORMED),
    (GROUP_SET, group(1, 0, 1, ecmp=3), E_MALFORMED),
    (GROUP_SET, group(1, ecmp=1), E_MALFORMED),
    (GROUP_DEL, group(1), E_NO_SUCH),
    (GROUP_DEL, group(NONE), E_MALFORMED),
    (ROUTE_SET, route("10.3.0.0/24", 100000), E_MALFORMED),
    (ROUTE_SET, route("10.3.0.0/24", 0, table=256), E_MALFORMED),
    (ROUTE_SET, put(route("10.3.0.0/24", 0), 28, "B", 33), E_MALFORMED),
    (ROUTE_SET, put(route("10.3.0.0/24", 0), 28, "B", 16) [:8] + addr("10.3.1.0") +
     struct.pack("<B3x", 16), E_MALFORMED),  # host bits
    (ROUTE_SET, put(route("2001:db8::/32", 0), 28, "B", 129), E_MALFORMED),
    (ROUTE_SET, put(route("10.3.0.0/24", 0), 29, "B", 1), E_MALFORMED),
    (ROUTE_SET, struct.pack("<II", 0, 0) + bytes(24), E_MALFORMED),
    (ROUTES, routes(), E_MALFORMED),
    (ROUTES, routes(("10.3.0.0/24", 0), n=145), E_MALFORMED),
    (ROUTES, routes(("10.3.0.0/24", 0), n=2), E_MALFORMED),
    (ROUTES, routes(("10.3.0.0/24", 0), zero=1), E_MALFORMED),
    (ROUTES, routes(("10.3.0.0/24", 0), ("10.4.0.0/24", 100000)), E_MALFORMED),
    (ROUTES, routes(("10.3.0.0/24", 0, 256)), E_MALFORMED),
    (ROUTES, put(routes(("10.3.0.0/24", 0)), 34, "B", 33), E_MALFORMED),
    (ROUTES, put(routes(("10.3.0.0/24", 0)), 34, "B", 20), OK),  # no host bit set
    (ROUTES, routes(("10.3.0.0/20", WITHDRAW)), OK),
    (ROUTES, put(routes(("10.3.0.0/24", 0)), 34, "B", 7), E_MALFORMED),
    (ROUTES, put(routes(("10.3.0.0/24", 0)), 35, "B", 1), E_MALFORMED),
    (ROUTES, put(routes(("10.3.0.0/24", 0)), 8, "B", 5), E_MALFORMED),
    (ROUTES, put(routes(("2001:db8::/32", 0)), 34, "B", 129), E_MALFORMED),
    (ROUTE_DEL, route("10.3.0.0/24", 0), E_NO_SUCH),
    (ROUTE_DEL, route("10.2.0.0/25", 0), E_NO_SUCH),
    (SA_FLUSH, b"", E_MALFORMED),
    (SA_ADD_IN, good_in(), E_MALFORMED),
    (99, b"", E_MALFORMED),
]


class Messages(unittest.TestCase):
    def setUp(self):
        self.site = Site()
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.install()

    def install(self):
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.install_sas()

    def install_sas(self):
        self.dp.sa(SA_ADD_IN, sa(5, SPI, 0, LOCAL, PEER))
        self.dp.sa(SA_ADD_OUT, sa(5, 0x1000, 0, LOCAL, PEER))
        self.dp.sa(SA_SWITCH, ref(5, 0))

    def spi(self, timeout=2.0):
        """The SPI that traffic leaves with now."""
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=1, dport=2) / b"x")
        p = self.site.wan.recv(timeout)
        if p is None:
            return None
        p = IP(p)
        self.assertEqual((p.proto, p.src, p.dst), (50, LOCAL, PEER))
        return p[ESP].spi

    def test_refused(self):
        self.assertEqual(self.spi(), 0x1000)
        links = sh("ip", "-br", "addr", ns="gw")
        for what, body_in, body_out, status in SA_CASES:
            for kind, body in ((SA_ADD_IN, body_in), (SA_ADD_OUT, body_out)):
                if body is not None:
                    with self.subTest(what, kind=kind):
                        self.dp.sa(kind, body, status)
        for kind, body, status in REF_CASES:
            with self.subTest(kind=kind, body=body.hex()):
                self.dp.sa(kind, body, status)
        for kind, body, status in FIB_CASES:
            with self.subTest(kind=kind, body=body.hex()):
                self.dp.fib(kind, body, status)
        self.assertEqual(self.spi(), 0x1000)
        self.assertEqual(sh("ip", "-br", "addr", ns="gw"), links)
        s = self.dp.settled()
        self.assertEqual((s["drops"], s["n_routes"], s["n_groups"]), ({}, 1, 1))
        # The slot that all those were about is free.
        self.dp.sa(SA_ADD_IN, good_in())
        self.dp.sa(SA_ADD_OUT, good_out())

    def test_random_bytes(self):
        """Whatever stands in a message: one answer, and the gateway goes on."""
        rnd = random.Random(1)
        bodies = [good_in(), good_out(), tunnel(1, "t", "tb1", ["10.9.9.1/30"]), group(1, 0),
                  route("10.3.0.0/24", 0), routes(("10.3.0.0/24", 0), ("10.4.0.0/24", WITHDRAW)), ref(6), peer(5, 0, LOCAL, PEER)]
        for i in range(1500):
            body = bytearray(rnd.choice(bodies).ljust(1008, b"\0"))
            if i % 3 == 0:
                body = bytearray(rnd.randbytes(1008))
            for _ in range(rnd.randrange(1, 6)):
                body[rnd.randrange(rnd.choice((8, 64, 1008)))] = rnd.choice(
                    (0, 1, 0xff, rnd.randrange(256)))
            ring = rnd.choice(("sa", "fib"))
            seq = self.dp.push(ring, rnd.randrange(0, 16), bytes(body))
            self.dp.until("answer", lambda: seq in self.dp.acks[ring])
            self.assertLess(self.dp.acks[ring].pop(seq), 7)
        self.dp.sa(SA_FLUSH)
        for t in range(16):
            self.dp.push("fib", TUNNEL_DEL, tunnel(t, "x"))
        self.install()
        self.assertEqual(self.spi(), 0x1000)

    def test_broken_ring(self):
        self.dp.command("break sa")
        time.sleep(0.3)
        self.dp.stats()
        self.assertEqual(self.spi(), 0x1000)
        self.dp.fib(ROUTE_SET, route("10.4.0.0/24", 0))  # the other ring works on
        self.dp.until("a word about it", lambda: "broke its rules" in self.dp.output())
        self.dp.command("ring 1")
        self.dp.sa(SA_FLUSH)
        self.assertIsNone(self.spi(0.5))
        self.install_sas()
        self.assertEqual(self.spi(), 0x1000)

    def test_new_producer(self):
        """ike restarts: fresh rings, the SAs live on until it says flush."""
        for kind in (1, 2):
            self.dp.command(f"ring {kind}")
        self.assertEqual(self.spi(), 0x1000)
        self.dp.sa(SA_SWITCH, ref(5, 0))
        self.dp.sa(SA_FLUSH)
        self.assertIsNone(self.spi(0.5))

    def listed(self, first=0):
        """What one DP_SA_LIST tells: (slot, tunnel, flags, inbound SPI, outbound SPI)."""
        self.dp.events.clear()
        self.dp.sa(SA_LIST, ref(first))
        got = [e for e in self.dp.events if e["type"] == EV_SA]
        self.assertEqual({e["seq"] for e in got} - {self.dp.seq}, set())
        return [(e["slot"], e["tunnel"], e["flags"], e["spi_in"], e["spi_out"]) for e in got]

    def test_list(self):
        """The inventory of a new ike process."""
        both = (5, 0, 3, SPI, 0x1000)
        self.assertEqual(self.listed(), [both])
        self.assertEqual(self.listed(5), [both])
        self.assertEqual(self.listed(6), [])
        self.assertEqual(self.listed(NONE), [])
        for i in range(100, 230):
            self.dp.sa(SA_ADD_IN, sa(i, 0x00700000 | i, i % 4, LOCAL, PEER))
        self.dp.sa(SA_ADD_OUT, sa(300, 0x3000, 2, LOCAL, PEER))
        for kind in (1, 2):
            self.dp.command(f"ring {kind}")
        want = [both] + [(i, i % 4, 1, 0x00700000 | i, 0) for i in range(100, 230)] + \
            [(300, 2, 2, 0, 0x3000)]
        got = self.listed()
        self.assertEqual(len(got), 64)
        while len(got) % 64 == 0:
            got += self.listed(got[-1][0] + 1)
        self.assertEqual(got, want)
        self.dp.sa(SA_FLUSH)
        self.assertEqual(self.listed(), [])

    def test_many(self):
        """More messages than the ring holds, all answered."""
        seqs = [self.dp.push("fib", ROUTE_SET, route(f"10.{100 + i // 250}.{i % 250}.0/24", 0))
                for i in range(3000)]
        self.dp.until("answers", lambda: all(s in self.dp.acks["fib"] for s in seqs), 20)
        self.assertEqual({self.dp.acks["fib"][s] for s in seqs}, {OK})
        self.dp.settled()
        self.assertEqual(self.dp.stats()["n_routes"], 3001)

    def test_routes(self):
        """Many in one message; a route that is replaced carries on."""
        some = [f"10.{100 + i}.0.0/16" for i in range(100)] + \
               [f"2001:db8:{i:x}::/48" for i in range(44)]
        self.dp.fib(ROUTES, routes(*((p, 0) for p in some)))
        self.assertEqual(self.dp.settled()["n_routes"], 145)
        self.assertEqual(self.dp.refused, 0)
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("10.150.0.0/16", WITHDRAW),
                                   ("10.9.9.0/24", WITHDRAW), ("10.101.0.0/16", BLACKHOLE)))
        self.assertEqual(self.dp.settled()["n_routes"], 144)
        self.assertEqual(self.spi(), 0x1000)
        # The same prefixes in other tables are other routes.
        self.dp.fib(ROUTES, routes(*((p, 0, i % 2 * 255) for i, p in enumerate(some))))
        self.assertEqual(self.dp.settled()["n_routes"], 144 + 1 + 72)
        self.dp.fib(ROUTES, routes(*((p, WITHDRAW, i % 2 * 255) for i, p in enumerate(some))))
        # One that is malformed: nothing of the message is carried out.
        self.dp.fib(ROUTES, routes(*((p, WITHDRAW) for p in some), ("10.0.0.0/8", 100000), n=144),
                    OK)
        self.assertEqual(self.dp.settled()["n_routes"], 1)
        self.dp.fib(ROUTES, routes(("10.7.0.0/16", 0), ("10.8.0.0/16", 100000)), E_MALFORMED)
        self.assertEqual(self.dp.settled()["n_routes"], 1)

    def test_inside_interfaces(self):
        self.dp.fib(TUNNEL_SET, tunnel(1, "t2", "tb1", ["169.254.11.2/30", "fd00::2/126"], 1300))
        show = sh("ip", "addr", "show", "tb1", ns="gw")
        for text in ("mtu 1300", "169.254.11.2/30", "fd00::2/126"):
            self.assertIn(text, show)
        self.dp.fib(TUNNEL_SET, tunnel(1, "t2", "tb1", ["169.254.12.2/30"]))
        show = sh("ip", "addr", "show", "tb1", ns="gw")
        self.assertIn("169.254.12.2/30", show)
        self.assertNotIn("169.254.11.2/30", show)
        self.dp.fib(TUNNEL_SET, tunnel(1, "t2", "tb9", ["169.254.12.2/30"]))
        links = sh("ip", "-br", "addr", ns="gw")
        self.assertIn("tb9", links)
        self.assertNotIn("tb1", links)
        self.dp.fib(TUNNEL_DEL, tunnel(1, "t2"))
        self.assertNotIn("tb9", sh("ip", "-br", "addr", ns="gw"))


if __name__ == "__main__":
    dplab.main()
