# SPDX-License-Identifier: Apache-2.0
"""Prefixes that go by other names in a tunnel: two peers with the same network, and ours hidden behind another
one. Packets of both ways, what the gateway says of them, and rules that come and go."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "esp"))
import dplab
from dplab import *
from scapy.all import (ESP, ICMP, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, IP, IPerror, IPv6, IPerror6,
                       Raw, SecurityAssociation, TCP, TCPerror, UDP, UDPerror, conf)

conf.verb = 0

KEY = bytes(range(1, 37))
# In the tunnels both peers are 10.1.0.0/24, as our own network is.
REAL, REAL6 = "10.1.0.77", "2001:db8:1::77"
HERE = {0: "100.64.0.77", 1: "100.65.0.77"}
HERE6 = {0: "fd00:64::77", 1: "fd00:65::77"}
OURS, OURS6 = "100.99.0.9", "fd00:99::9"  # HOST and HOST6, as the peers see them
SELECTORS = (("100.99.0.0/24", "10.1.0.0/24"), ("fd00:99::/64", "2001:db8:1::/64"), ("0.0.0.0/0", "172.16.0.0/16"))


def rules(t):
    return [translation(f"100.{64 + t}.0.0/24", "10.1.0.0/24"),
            translation("10.1.0.0/24", "100.99.0.0/24", ours=True),
            translation(f"fd00:{64 + t}::/64", "2001:db8:1::/64"),
            translation("2001:db8:1::/64", "fd00:99::/64", ours=True)]


def peer_of(t):
    return f"198.51.100.{t + 1}"


def good_sums(p):
    """Whether every checksum of a packet is what it has to be."""
    fresh = p.copy()
    for layer in (IP, TCP, UDP, ICMP, IPerror, TCPerror, UDPerror):
        if layer in fresh:
            del fresh[layer].chksum
    if fresh.version == 6 and (ICMPv6EchoRequest in fresh or ICMPv6EchoReply in fresh or ICMPv6PacketTooBig in fresh):
        del fresh[IPv6].payload.cksum
    return bytes(fresh) == bytes(p)


class Translate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.dp = cls.site.dp
        cls.addClassCleanup(cls.site.close)

    def setUp(self):
        self.dp.sa(SA_FLUSH)
        self.seq = {0: 0, 1: 0}
        s = self.dp.settled()
        self.before, self.tunnels = s["drops"], s["tunnels"]
        for t in (0, 1):
            self.dp.fib(TUNNEL_SET, tunnel(t, f"t{t}", translate=rules(t)))
            self.dp.fib(GROUP_SET, group(t, t))
            self.install(t, t, SELECTORS)
            self.dp.fib(ROUTE_SET, route(f"100.{64 + t}.0.0/24", t))
            self.dp.fib(ROUTE_SET, route(f"fd00:{64 + t}::/64", t))

    def install(self, slot, t, selectors):
        both = dict(key=KEY, selectors=selectors)
        self.dp.sa(SA_ADD_IN, sa(slot, 0x700000 | slot, t, LOCAL, peer_of(t), **both))
        self.dp.sa(SA_ADD_OUT, sa(slot, 0x1000 + t, t, LOCAL, peer_of(t), **both))
        self.dp.sa(SA_SWITCH, ref(slot, t))

    def send(self, t, inner):
        self.seq[t] += 1
        made = SecurityAssociation(ESP, spi=0x700000 | t, crypt_algo="AES-GCM", crypt_key=KEY,
                                   tunnel_header=IP(src=peer_of(t), dst=LOCAL))
        self.site.wan.send(made.encrypt(inner, seq_num=self.seq[t]))

    def out(self, t, timeout=1.5):
        """What leaves by tunnel `t`; or None."""
        p = self.site.wan.recv(timeout)
        if p is None:
            return None
        outer = IP(p)
        self.assertEqual((outer.src, outer.dst, outer[ESP].spi), (LOCAL, peer_of(t), 0x1000 + t))
        got = SecurityAssociation(ESP, spi=0x1000 + t, crypt_algo="AES-GCM", crypt_key=KEY,
                                  tunnel_header=IP(src=LOCAL, dst=peer_of(t))).decrypt(outer)
        got = type(got)(bytes(got))
        self.assertTrue(good_sums(got), got.show(dump=True))
        return got

    def heard(self, kind=IP):
        """What the host on the LAN hears."""
        b = self.site.lan.recv()
        self.assertIsNotNone(b, self.dp.settled())
        p = kind(b)
        self.assertTrue(good_sums(p), p.show(dump=True))
        return p

    def gone(self, **reasons):
        self.assertIsNone(self.site.wan.recv(0.3))
        self.assertIsNone(self.site.lan.recv(0.1))
        drops = self.dp.settled()["drops"]
        changed = {k: v - self.before.get(k, 0) for k, v in drops.items() if v != self.before.get(k, 0)}
        self.before = drops
        self.assertEqual(changed, {k.replace("_", "-"): v for k, v in reasons.items()})

    def test_both_ways(self):
        """Two peers with our own network: each host has one name at each end."""
        for t in (0, 1):
            for layer in (TCP(sport=5, dport=80, flags="S", options=[("MSS", 9000)]), UDP(sport=5, dport=53) / b"?",
                          ICMP() / b"ping"):
                self.send(t, IP(src=REAL, dst=OURS, ttl=9) / layer)
                p = self.heard()
                self.assertEqual((p.src, p.dst, p.ttl), (HERE[t], HOST, 8))
                self.site.lan.send(IP(src=HOST, dst=HERE[t]) / layer)
                p = self.out(t)
                self.assertEqual((p.src, p.dst), (OURS, REAL))
            for layer in (TCP(sport=5, dport=80), UDP(sport=5, dport=53) / b"?", ICMPv6EchoRequest(data=b"ping")):
                self.send(t, IPv6(src=REAL6, dst=OURS6, hlim=9) / layer)
                p = self.heard(IPv6)
                self.assertEqual((p.src, p.dst, p.hlim), (HERE6[t], HOST6, 8))
                self.site.lan.send(IPv6(src=HOST6, dst=HERE6[t]) / layer)
                p = self.out(t)
                self.assertEqual((p.src, p.dst), (OURS6, REAL6))
        s = self.dp.settled()["tunnels"]
        self.assertEqual([tuple(s[t][k] - self.tunnels[t][k] for k in ("in_translated", "out_translated"))
                          for t in (0, 1, 2)], [(6, 6), (6, 6), (0, 0)])

    def test_from_peer_to_peer(self):
        """Between two peers with the same network: each is the other's neighbour by its name here."""
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0", translate=rules(0)[:1]))
        self.dp.fib(TUNNEL_SET, tunnel(1, "t1", translate=rules(1)[:1]))
        for t in (0, 1):
            self.install(4 + t, t, (("0.0.0.0/0", "0.0.0.0/0"),))
        self.seq[4] = 0
        made = SecurityAssociation(ESP, spi=0x700004, crypt_algo="AES-GCM", crypt_key=KEY,
                                   tunnel_header=IP(src=peer_of(0), dst=LOCAL))
        self.site.wan.send(made.encrypt(IP(src=REAL, dst=HERE[1]) / UDP(sport=1, dport=2) / b"x", seq_num=1))
        p = self.out(1)
        self.assertEqual((p.src, p.dst), (HERE[0], REAL))

    def test_untranslatable(self):
        """A name that means another host at the other end goes nowhere; others are left alone."""
        for t in (0, 1):
            self.install(4 + t, t, (("0.0.0.0/0", "0.0.0.0/0"),))

        def wide(inner):
            self.seq[4] = self.seq.get(4, 0) + 1
            made = SecurityAssociation(ESP, spi=0x700004, crypt_algo="AES-GCM", crypt_key=KEY,
                                       tunnel_header=IP(src=peer_of(0), dst=LOCAL))
            self.site.wan.send(made.encrypt(inner, seq_num=self.seq[4]))

        # The peer claims the name that its host has here; or calls our host by its own name.
        wide(IP(src=HERE[0], dst=OURS) / UDP() / b"x")
        self.gone(not_translatable_in=1)
        wide(IP(src=REAL, dst=HOST) / UDP() / b"x")
        self.gone(not_translatable_in=1)
        wide(IP(src=REAL, dst=OURS, proto=51) / b"authenticated")
        self.gone(not_translatable_in=1)
        # Neither of the two prefixes: as it is.
        wide(IP(src="10.200.0.1", dst=OURS) / UDP(sport=1, dport=2) / b"x")
        self.assertEqual(self.heard().src, "10.200.0.1")
        # From our side: what is called 10.1.0.0/24 there is not called so here.
        self.dp.fib(ROUTE_SET, route("172.16.0.0/16", 0))
        self.addCleanup(self.dp.fib, ROUTE_DEL, route("172.16.0.0/16", 0))
        self.site.lan.send(IP(src=OURS, dst="172.16.0.1") / UDP() / b"x")
        self.gone(not_translatable_out=1)
        self.site.lan.send(IP(src=HOST, dst="172.16.0.1") / UDP(sport=1, dport=2) / b"x")
        p = self.out(0)
        self.assertEqual((p.src, p.dst), (OURS, "172.16.0.1"))
        s = self.dp.settled()["tunnels"]
        self.assertEqual([s[0][k] - self.tunnels[0][k] for k in ("in_dropped", "out_dropped")], [3, 1])

    def test_selectors_are_the_peers(self):
        """What is negotiated is in the tunnel's names: they are looked at first, and last."""
        self.send(0, IP(src="10.200.0.1", dst=OURS) / UDP() / b"x")
        self.gone(esp_in_selector_mismatch=1)
        self.site.lan.send(IP(src="10.1.1.9", dst=HERE[0]) / UDP() / b"x")
        self.gone(esp_out_selector_mismatch=1)

    def test_errors_from_the_peer(self):
        """What a router beyond the tunnel says of our packet names what our host knows."""
        ours = IP(src=OURS, dst=REAL) / UDP(sport=7, dport=8) / Raw(bytes(40))
        quote = bytes(IP(bytes(ours)))
        self.send(0, IP(src="172.16.0.1", dst=OURS) / ICMP(type=3, code=4, nexthopmtu=900) / quote[:40])
        p = self.heard()
        self.assertEqual((p.src, p.dst, p[ICMP].nexthopmtu), ("172.16.0.1", HOST, 900))
        q = p[IPerror]
        self.assertEqual((q.src, q.dst), (HOST, HERE[0]))
        # The quoted header's own checksum is right, and the datagram's is as its sender wrote it.
        sent = IP(bytes(IP(src=HOST, dst=HERE[0]) / UDP(sport=7, dport=8) / Raw(bytes(40))))
        self.assertEqual((q.chksum, q[UDPerror].chksum), (sent.chksum, sent[UDP].chksum))
        ours = IPv6(src=OURS6, dst=REAL6) / UDP(sport=7, dport=8) / Raw(bytes(40))
        self.send(1, IPv6(src=REAL6, dst=OURS6) / ICMPv6PacketTooBig(mtu=1300) / bytes(ours))
        p = self.heard(IPv6)
        sent = IPv6(bytes(IPv6(src=HOST6, dst=HERE6[1]) / UDP(sport=7, dport=8) / Raw(bytes(40))))
        q = p[IPerror6]
        self.assertEqual((p.src, p.dst, q.src, q.dst, q[UDPerror].chksum),
                         (HERE6[1], HOST6, HOST6, HERE6[1], sent[UDP].chksum))

    def test_errors_of_our_own(self):
        """What is too big or at its last hop: its sender hears of it by the names that he used."""
        self.site.lan.send(IP(src=HOST, dst=HERE[0], flags="DF") / UDP(sport=7, dport=8) / Raw(bytes(1472)))
        p = self.heard()
        self.assertEqual((p.dst, p[ICMP].type, p[ICMP].code, p[IPerror].src, p[IPerror].dst),
                         (HOST, 3, 4, HOST, HERE[0]))
        self.assertEqual(self.out(0, 0.3), None)
        self.site.lan.send(IP(src=HOST, dst=HERE[0], ttl=1) / UDP(sport=7, dport=8) / b"last hop")
        p = self.heard()
        sent = IP(bytes(IP(src=HOST, dst=HERE[0], ttl=1) / UDP(sport=7, dport=8) / b"last hop"))
        self.assertEqual((p.dst, p[ICMP].type, p[IPerror].src, p[IPerror].dst, p[IPerror].chksum,
                          p[UDPerror].chksum), (HOST, 11, HOST, HERE[0], sent.chksum, sent[UDP].chksum))
        # The peer's: about a packet of his own, by the names that it left with.
        self.send(0, IP(src=REAL, dst=OURS, ttl=1) / UDP(sport=7, dport=8) / b"last hop")
        p = self.out(0)
        self.assertEqual((p.dst, p[ICMP].type, p[IPerror].src, p[IPerror].dst), (REAL, 11, REAL, OURS))

    def test_fragments(self):
        """Cut on the way in, and cut by us: the parts make one packet again whose checksum is right."""
        whole = IP(bytes(IP(src=REAL, dst=OURS, id=7) / UDP(sport=7, dport=8) / Raw(os.urandom(2000))))
        for at in (0, 1000, 2000):
            part = IP(src=REAL, dst=OURS, id=7, proto=17, frag=at // 8, flags="MF" if at < 2000 else 0)
            self.send(0, part / Raw(bytes(whole)[20 + at:20 + at + 1000]))
        parts = [IP(self.site.lan.recv()) for _ in range(3)]
        self.assertEqual({(p.src, p.dst) for p in parts}, {(HERE[0], HOST)})
        self.same(parts, IP(src=HERE[0], dst=HOST, id=7) / UDP(sport=7, dport=8) / whole[Raw])
        big = IP(src=HOST, dst=HERE[1], id=9) / UDP(sport=7, dport=8) / Raw(os.urandom(1470))
        self.site.lan.send(big)
        parts = []
        for _ in range(2):
            outer = IP(self.site.wan.recv())
            p = SecurityAssociation(ESP, spi=0x1001, crypt_algo="AES-GCM", crypt_key=KEY,
                                    tunnel_header=IP(src=LOCAL, dst=peer_of(1))).decrypt(outer)
            parts.append(IP(bytes(p)))
        self.assertEqual({(p.src, p.dst) for p in parts}, {(OURS, REAL)})
        self.same(parts, IP(src=OURS, dst=REAL, id=9) / UDP(sport=7, dport=8) / big[Raw])

    def same(self, parts, want):
        parts.sort(key=lambda p: p.frag)
        body = b"".join(bytes(p)[20:] for p in parts)
        self.assertEqual(body, bytes(IP(bytes(want)))[20:])

    def test_every_link_carries_1280(self):
        """An IPv6 packet that is cut outside has the tunnel's names inside."""
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0", mtu=1000, translate=rules(0)))
        self.site.lan.send(IPv6(src=HOST6, dst=HERE6[0]) / UDP(sport=7, dport=8) / Raw(bytes(1232)))
        p = self.out(0)
        self.assertEqual((p.src, p.dst, len(p)), (OURS6, REAL6, 1280))
        self.site.lan.send(IPv6(src=HOST6, dst=HERE6[0], hlim=1) / UDP(sport=7, dport=8) / Raw(bytes(1232)))
        p = IPv6(self.site.lan.recv())
        self.assertEqual((p.dst, p[IPerror6].src, p[IPerror6].dst), (HOST6, HOST6, HERE6[0]))

    def test_rules_come_and_go(self):
        """They are replaced while the SA stays."""
        def sent():
            self.site.lan.send(IP(src=HOST, dst=HERE[0]) / UDP(sport=7, dport=8) / b"x")
            p = self.out(0)
            return p and (p.src, p.dst)

        self.install(4, 0, (("0.0.0.0/0", "0.0.0.0/0"),))
        self.assertEqual(sent(), (OURS, REAL))
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0"))
        self.assertEqual(sent(), (HOST, HERE[0]))
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0", translate=[translation("100.64.0.0/24", "10.7.7.0/24")]))
        self.assertEqual(sent(), (HOST, "10.7.7.77"))
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0", translate=rules(0)))
        self.assertEqual(sent(), (OURS, REAL))
        self.dp.fib(TUNNEL_DEL, tunnel(0, ""))
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0"))
        self.assertEqual(sent(), (HOST, HERE[0]))

    def test_malformed(self):
        good = translation("100.64.0.0/24", "10.1.0.0/24")
        for what, bad in (
                ("host bits here", [translation("100.64.1.0/24", "10.1.0.0/24")[:40] + b"\x10\0\0\0"]),
                ("length 0", [good[:40] + bytes(4)]),
                ("length 33", [good[:40] + b"\x21\0\0\0"]),
                ("side 2", [good[:41] + b"\x02\0\0"]),
                ("not zero", [good[:42] + b"\1\0"]),
                ("no address", [bytes(20) + good[20:]]),
                ("families", [addr("fd00::") + good[20:]]),
                ("overlap here", [good, translation("100.64.0.0/25", "10.2.0.0/25")]),
                ("overlap there", [good, translation("100.65.0.0/24", "10.1.0.0/24")]),
                ("too many", [translation(f"100.64.{i}.0/24", f"10.1.{i}.0/24") for i in range(17)])):
            with self.subTest(what):
                self.dp.fib(TUNNEL_SET, tunnel(3, "t3", translate=bad), E_MALFORMED)
        self.dp.fib(TUNNEL_SET, tunnel(3, "t3", n_translate=NONE), E_MALFORMED)
        most = [translation(f"100.64.{i}.0/24", f"10.1.{i}.0/24") for i in range(16)]
        self.dp.fib(TUNNEL_SET, tunnel(3, "t3", translate=most))
        # The same prefix on both sides is no overlap.
        self.dp.fib(TUNNEL_SET, tunnel(3, "t3", translate=rules(0)))


if __name__ == "__main__":
    dplab.main()
