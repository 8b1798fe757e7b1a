# SPDX-License-Identifier: Apache-2.0
"""What routers outside tell of the way, and what it changes inside: too-big, MSS, the inside interface."""

import dplab
from dplab import *
from scapy.all import (ESP, ICMP, IP, IPv6, Raw, TCP, UDP, ICMPv6PacketTooBig, SecurityAssociation,
                       conf)

conf.verb = 0
KEY = bytes(range(36))
SPI_IN, SPI_OUT = 0x00700005, 0x12345678
ROUTER, ROUTER6 = "203.0.113.9", "2001:db8:ffff::9"
OURS6, PEER6 = "2001:db8:ff::1", "2001:db8:ff::254"
SELECTORS = (("10.1.0.0/24", "10.2.0.0/24"), ("2001:db8:1::/64", "2001:db8:2::/64"))


class PathMtu(unittest.TestCase):
    def setUp(self):
        self.site = Site()
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.dp.fib(ROUTE_SET, route("2001:db8:2::/64", 0))

    def install(self, v6, udp):
        self.ours, self.peer = (OURS6, PEER6) if v6 else (LOCAL, PEER)
        both = dict(key=KEY, selectors=SELECTORS, flags=UDP_ENCAP if udp else 0,
                    ports=(4500, 4500) if udp else (0, 0))
        self.dp.sa(SA_ADD_IN, sa(5, SPI_IN, 0, self.ours, self.peer, **both))
        self.dp.sa(SA_ADD_OUT, sa(5, SPI_OUT, 0, self.ours, self.peer, **both))
        self.dp.sa(SA_SWITCH, ref(5, 0))

    def sent(self, inner):
        """The outer packet that an inner one becomes, as bytes, or None."""
        self.site.lan.send(inner)
        return self.site.wan.recv(1.0)

    def too_big(self, outer, mtu, quote=200):
        """A router's message about a packet that it has seen."""
        if outer[0] >> 4 == 6:
            return IPv6(src=ROUTER6, dst=OURS6) / ICMPv6PacketTooBig(mtu=mtu) / Raw(outer[:quote])
        return IP(src=ROUTER, dst=LOCAL) / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(outer[:quote])

    def learnt(self, mtu):
        return lambda: self.dp.stats()["tunnels"][0]["path_mtu"] == mtu

    def test_learns(self):
        for v6, udp, inner in ((False, False, 1346), (False, True, 1338), (True, False, 1326),
                               (True, True, 1318)):
            with self.subTest(v6=v6, udp=udp):
                self.install(v6, udp)
                full = IP(src=HOST, dst=REMOTE_HOST, flags="DF") / UDP(dport=9) / bytes(1350)
                outer = self.sent(full)
                self.assertIsNotNone(outer, self.dp.stats()["drops"])
                to_linux = self.dp.settled()["ports"][0]["to_linux"]
                self.site.wan.send(self.too_big(outer, 1400))
                self.dp.until("the path MTU", self.learnt(1400))
                t = self.dp.settled()["tunnels"][0]
                self.assertEqual((t["mtu"], t["path_mtu_learnt"]), (inner, 1))
                self.assertIn(f"mtu {inner}", sh("ip", "link", "show", "tb0", ns="gw"))
                # Linux hears of it, too: IKE has the same way.
                self.assertGreater(self.dp.stats()["ports"][0]["to_linux"], to_linux)
                self.inside(full, inner)
                self.dp.sa(SA_DEL_OUT, ref(5, 0))
                self.dp.sa(SA_DEL_IN, ref(5, 0))
                # It is the tunnel that remembers.
                self.dp.fib(TUNNEL_DEL, tunnel(0, "t1"))
                self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
                self.site.lan.drain()
                self.site.wan.drain()
        self.assertEqual(self.dp.settled()["drops"], {"path-mtu-lowered": 4, "too-big-for-tunnel": 8})

    def inside(self, full, mtu):
        """What hosts now get to know."""
        self.assertIsNone(self.sent(full))
        e = IP(self.site.lan.recv())
        self.assertEqual((e.dst, e[ICMP].type, e[ICMP].code, e[ICMP].nexthopmtu), (HOST, 3, 4, mtu))
        self.assertIsNone(self.sent(IPv6(src=HOST6, dst=REMOTE6) / UDP(dport=9) / bytes(1350)))
        e = IPv6(self.site.lan.recv())
        self.assertEqual((e.dst, e[ICMPv6PacketTooBig].mtu), (HOST6, mtu))
        there = SecurityAssociation(ESP, spi=SPI_OUT, crypt_algo="AES-GCM", crypt_key=KEY)
        for ip, src, dst, headers in ((IP, HOST, REMOTE_HOST, 40), (IPv6, HOST6, REMOTE6, 60)):
            p = self.sent(ip(src=src, dst=dst) / TCP(flags="SA", options=[("MSS", 9000)]))
            udp = p[9 if p[0] >> 4 == 4 else 6] == 17
            esp = p[(20 if p[0] >> 4 == 4 else 40) + (8 if udp else 0):]
            got = there.decrypt(IP(src=LOCAL, dst=PEER) / ESP(esp))
            self.assertEqual(dict(got[TCP].options)["MSS"], mtu - headers)
            sent = got[TCP].chksum
            del got[TCP].chksum
            self.assertEqual(got.__class__(bytes(got))[TCP].chksum, sent)

    def test_forged(self):
        """Who has not seen a packet of ours changes nothing."""
        self.install(False, False)
        outer = bytearray(self.sent(IP(src=HOST, dst=REMOTE_HOST, flags="DF") / UDP(dport=9) /
                                    bytes(1350)))
        for at in (12, 19, 20, 23, 27):  # addresses, SPI, a number that was not used
            bad = bytearray(outer)
            bad[at] ^= 0x40
            self.site.wan.send(self.too_big(bytes(bad), 1400))
        self.site.wan.send(self.too_big(bytes(outer), 1400, quote=27))
        self.dp.settled()
        time.sleep(0.3)  # so few are looked at in a second
        self.site.wan.send(self.too_big(bytes(outer), 1450))  # no smaller than the packet
        s = self.dp.settled()
        self.assertEqual(s["tunnels"][0]["path_mtu"], 1500)
        self.assertEqual(s["drops"].get("path-mtu-implausible"), 1)
        self.assertEqual(s["drops"].get("path-mtu-unproven", 0) + s["drops"].get("path-mtu-rate", 0), 6)
        self.assertIsNotNone(self.sent(IP(src=HOST, dst=REMOTE_HOST, flags="DF") / UDP(dport=9) /
                                       bytes(1350)))


class Narrow(PathMtu):
    """A way of 1280 bytes: IPv6 inside passes all the same, and the outer packets are cut."""
    test_learns = test_forged = None

    def setUp(self):
        self.site = Site(mtu=1280)
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30", "fd00::2/126"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.dp.fib(ROUTE_SET, route("2001:db8:2::/64", 0))

    def joined(self, pieces):
        """The ESP part of what came in pieces; each fits and says where it belongs."""
        parts, ids, whole = {}, set(), 0
        for p in pieces:
            self.assertLessEqual(len(p), 1280)
            if p[0] >> 4 == 4:
                field = struct.unpack_from("!H", p, 6)[0]
                at, more, head, proto = (field & 0x1FFF) * 8, field & 0x2000, 20, p[9]
                self.assertFalse(field & 0x4000)
                total = sum(struct.unpack("!10H", p[:20]))
                self.assertEqual((total & 0xFFFF) + (total >> 16), 0xFFFF)
                ids.add(p[4:6])
            else:
                field = struct.unpack_from("!H", p, 42)[0]
                self.assertEqual(p[6], 44)
                at, more, head, proto = field & 0xFFF8, field & 1, 48, p[40]
                ids.add(p[44:48])
            parts[at] = p[head:]
            whole = whole if more else at + len(p) - head
        data = b"".join(parts[at] for at in sorted(parts))
        self.assertEqual((len(ids), len(data), sorted(parts)[0]), (1, whole, 0))
        return data[8:] if proto == 17 else data

    def test_ipv6_of_1280_bytes(self):
        there = SecurityAssociation(ESP, spi=SPI_OUT, crypt_algo="AES-GCM", crypt_key=KEY)
        back = SecurityAssociation(ESP, spi=SPI_IN, crypt_algo="AES-GCM", crypt_key=KEY,
                                   tunnel_header=IP(src=PEER, dst=LOCAL))
        for v6, udp in ((False, False), (False, True), (True, False), (True, True)):
            with self.subTest(v6=v6, udp=udp):
                self.install(v6, udp)
                # Linux keeps IPv6 on the inside interface.
                self.assertIn("mtu 1280", sh("ip", "link", "show", "tb0", ns="gw"))
                p = IPv6(src=HOST6, dst=REMOTE6) / UDP(sport=1, dport=9) / bytes(1280 - 48)
                self.site.lan.send(p)
                pieces = self.site.wan.drain()
                self.assertEqual(len(pieces), 2, self.dp.stats()["drops"])
                esp = self.joined(pieces)
                got = there.decrypt(IP(src=LOCAL, dst=PEER) / ESP(esp))
                p.hlim -= 1
                self.assertEqual(bytes(got.payload), bytes(p))
                # One byte more is told, and the smallest that IPv6 knows is named.
                self.assertIsNone(self.sent(IPv6(src=HOST6, dst=REMOTE6) / UDP(dport=9) /
                                            bytes(1281 - 48)))
                self.assertEqual(IPv6(self.site.lan.recv())[ICMPv6PacketTooBig].mtu, 1280)
                # The same from the peer: outer pieces, joined here.
                q = IPv6(src=REMOTE6, dst=HOST6) / UDP(sport=9, dport=1) / bytes(1280 - 48)
                e = bytes(back.encrypt(q, seq_num=1)[ESP])
                body = (bytes(UDP(sport=4500, dport=4500, len=len(e) + 8)) if udp else b"") + e
                for at, part in ((0, body[:640]), (640, body[640:])):
                    if v6:
                        from scapy.all import IPv6ExtHdrFragment
                        self.site.wan.send(IPv6(src=PEER6, dst=OURS6) / IPv6ExtHdrFragment(
                            nh=17 if udp else 50, offset=at // 8, m=int(at == 0), id=7) / Raw(part))
                    else:
                        self.site.wan.send(IP(src=PEER, dst=LOCAL, proto=17 if udp else 50, id=7,
                                              flags="MF" if at == 0 else 0, frag=at // 8) / Raw(part))
                q.hlim -= 1
                self.assertEqual(self.site.lan.recv(), bytes(q), self.dp.stats()["drops"])
                self.dp.sa(SA_DEL_OUT, ref(5, 0))
                self.dp.sa(SA_DEL_IN, ref(5, 0))
        self.assertEqual(self.dp.settled()["drops"], {"too-big-for-tunnel": 4, "outer-reassembled": 8})


if __name__ == "__main__":
    dplab.main()
