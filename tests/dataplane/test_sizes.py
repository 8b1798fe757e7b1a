# SPDX-License-Identifier: Apache-2.0
"""Packets that are too large, in pieces or at the end of their way: MTU, fragments before and behind encryption, TTL, the
errors that tell of it, and MSS."""

import random

import dplab
from two_tunnels import *
from scapy.all import ESP, ICMP, ICMPv6PacketTooBig, IP, IPv6, Raw, SecurityAssociation, TCP, UDP, conf

conf.verb = 0


class Reassembly(TwoTunnels):
    """Outer fragments: joined for ESP, left alone for Linux, given up in time."""

    def setUp(self):
        super().setUp()
        self.add(1)
        self.switch(1)
        self.inner = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=7, dport=8) / \
            Raw(random.Random(5).randbytes(1380))
        self.seq = 0

    def outer(self, udp):
        self.seq += 1
        p = self.encrypt(1, self.inner, self.seq)
        if not udp:
            return p
        return IP(src=PEER, dst=LOCAL, id=1000 + self.seq) / UDP(sport=4500, dport=4500, chksum=0) / \
            Raw(bytes(p[ESP]))

    def pieces(self, packet, size):
        from scapy.all import fragment
        packet = IP(bytes(packet))
        packet.id = 2000 + self.seq
        return [bytes(IP(bytes(p))) for p in fragment(packet, size)]

    def arrived(self):
        p = self.site.lan.recv(1.0)
        return p is not None and bytes(IP(p)[UDP].payload) == bytes(self.inner[UDP].payload)

    def test_joined(self):
        rnd = random.Random(9)
        n = 0
        for udp in (False, True):
            for size in (1200, 800, 400, 200):
                for order in ("as sent", "reversed", "shuffled"):
                    with self.subTest(udp=udp, size=size, order=order):
                        parts = self.pieces(self.outer(udp), size)
                        n += len(parts)
                        if order == "reversed":
                            parts.reverse()
                        elif order == "shuffled":
                            rnd.shuffle(parts)
                        for p in parts:
                            self.site.wan.send(p)
                        self.assertTrue(self.arrived())
        s = self.dp.settled()
        self.assertEqual(s["drops"], {"outer-reassembled": n})

    def test_ipv6(self):
        from scapy.all import IPv6ExtHdrFragment, fragment6
        self.dp.sa(SA_ADD_IN, sa(3, spi_in(3), 0, "2001:db8:ff::1", "2001:db8:ee::1", key=key(3),
                                 selectors=ANY))
        peer6 = SecurityAssociation(ESP, spi=spi_in(3), crypt_algo="AES-GCM", crypt_key=key(3),
                                    tunnel_header=IPv6(src="2001:db8:ee::1", dst="2001:db8:ff::1"))
        whole = peer6.encrypt(self.inner, seq_num=1)
        self.site.wan.send(whole)
        self.assertTrue(self.arrived())
        whole = peer6.encrypt(self.inner, seq_num=2)
        head, load = IPv6(src=whole.src, dst=whole.dst), bytes(whole)[40:]
        for at in (0, 1000):
            part = load[at:at + 1000]
            self.site.wan.send(head / IPv6ExtHdrFragment(nh=50, id=7, offset=at // 8,
                                                         m=int(at == 0)) / Raw(part))
        self.assertTrue(self.arrived())

    def test_missing_overlapping_too_many(self):
        parts = self.pieces(self.outer(False), 400)
        for p in parts[:-1]:
            self.site.wan.send(p)
        self.dp.until("expiry", lambda: self.dp.stats()["drops"].get("outer-reassembly-failed") ==
                      len(parts) - 1, 4)
        parts = self.pieces(self.outer(False), 800)
        over = IP(parts[0])
        over.frag = 50
        del over.chksum
        for p in (parts[0], bytes(over), parts[1]):
            self.site.wan.send(p)
        n = len(self.pieces(self.outer(False), 400)) - 1
        self.dp.until("drops", lambda: self.dp.stats()["drops"].get("outer-reassembly-failed") ==
                      n + 3, 4)
        for p in self.pieces(self.outer(False), 40):  # more than are kept
            self.site.wan.send(p)
        self.assertFalse(self.arrived())
        for i in range(300):  # more packets than are kept
            self.site.wan.send(IP(src=PEER, dst=LOCAL, id=i, proto=50, flags="MF") / Raw(bytes(80)))
        self.assertTrue(self.site.wan.send(self.outer(False)) is None and self.arrived())
        time.sleep(1.3)
        s = self.dp.settled()
        self.assertEqual(set(s["drops"]), {"outer-reassembly-failed"})
        came = sum(p["rx_packets"] + p["from_linux"] for p in s["ports"])
        went = sum(p["tx_packets"] + p["to_linux"] for p in s["ports"])
        self.assertEqual(came + sum(w["generated"] for w in s["workers"]),
                         went + sum(s["drops"].values()))

    def test_ike_is_linux(self):
        """Fragments of IKE and other UDP reach a socket of Linux, whole."""
        code = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
                f"s.bind(('{LOCAL}',%d)); s.settimeout(30); print('up',flush=True);"
                "print(len(s.recvfrom(70000)[0]))")
        for dport, load in ((500, bytes(range(256)) * 12), (4500, bytes(4) + bytes(range(256)) * 12),
                            (7777, b"u" * 5000)):
            with self.subTest(dport):
                p = subprocess.Popen(["ip", "netns", "exec", "gw", "python3", "-c", code % dport],
                                     stdout=subprocess.PIPE, text=True)
                p.stdout.readline()
                self.seq += 1
                for part in self.pieces(IP(src=PEER, dst=LOCAL) / UDP(sport=500, dport=dport) /
                                        Raw(load), 1000)[::-1]:
                    self.site.wan.send(part)
                self.assertEqual(p.stdout.read().strip(), str(len(load)))
                p.wait()
                p.stdout.close()
        self.assertEqual(self.dp.settled()["drops"], {})


class Sizes(TwoTunnels):
    MTU = 1446  # AES-GCM in IPv4, 1500 outside

    def setUp(self):
        super().setUp()
        self.add(1)
        self.switch(1)

    def test_largest(self):
        for size in (self.MTU - 1, self.MTU):
            self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST, flags="DF") / UDP() / bytes(size - 28))
            p = self.site.wan.recv()
            self.assertLessEqual(len(p), 1500)
            self.assertEqual(len(self.decrypt(p)), size)

    def test_df(self):
        big = IP(src=HOST, dst=REMOTE_HOST, flags="DF", id=77) / UDP(sport=3, dport=4) / \
            bytes(self.MTU - 27)
        self.site.lan.send(big)
        answer = IP(self.site.lan.recv())
        self.assertEqual((answer.src, answer.dst, answer.ttl), ("10.1.0.1", HOST, 64))
        self.assertEqual((answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu),
                         (3, 4, self.MTU))
        check = answer.copy()
        del check.chksum, check[ICMP].chksum
        self.assertEqual(bytes(check.__class__(bytes(check))), bytes(answer))
        self.assertEqual(bytes(answer[ICMP].payload)[:28], bytes(big)[:28])

    def test_ipv6(self):
        self.site.lan.send(IPv6(src=HOST6, dst=REMOTE6) / UDP(sport=3, dport=4) /
                           bytes(self.MTU - 47))
        answer = IPv6(self.site.lan.recv())
        self.assertEqual((answer.src, answer.dst), ("2001:db8:1::1", HOST6))
        self.assertEqual(answer[ICMPv6PacketTooBig].mtu, self.MTU)
        self.assertLessEqual(len(answer), 1280)
        check = answer.copy()
        del check[ICMPv6PacketTooBig].cksum
        self.assertEqual(bytes(IPv6(bytes(check))), bytes(answer))

    def test_fragments(self):
        """Without DF it is cut before encryption and whole again at the other end."""
        load = random.Random(3).randbytes(3000)
        whole = IP(src=HOST, dst=REMOTE_HOST, id=99) / UDP(sport=3, dport=4) / load
        # longer than the wire: the host cuts it first, each piece is cut again
        from scapy.all import defragment, fragment
        for piece in fragment(whole, 1480):
            self.site.lan.send(piece)
        pieces = [self.decrypt(p) for p in self.site.wan.drain()]
        self.assertTrue(all(len(p) <= self.MTU for p in pieces))
        self.assertGreater(len(pieces), 3)
        joined = defragment(pieces)[0]
        self.assertEqual(bytes(joined[UDP].payload), load)
        for p in pieces:
            check = p.copy()
            del check.chksum
            self.assertEqual(bytes(IP(bytes(check))), bytes(p))
        s = self.dp.settled()
        self.assertEqual(s["drops"], {})
        self.assertEqual(sum(w["generated"] for w in s["workers"]), len(pieces) - 3)

    def test_ttl(self):
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST, ttl=1) / UDP(sport=3, dport=4) / b"x")
        answer = IP(self.site.lan.recv())
        self.assertEqual((answer.src, answer[ICMP].type, answer[ICMP].code), ("10.1.0.1", 11, 0))
        # out of the tunnel, one hop short of the host: the answer goes back through the tunnel
        self.site.wan.send(self.encrypt(
            1, IP(src=REMOTE_HOST, dst=HOST, ttl=1) / UDP(sport=3, dport=4) / b"x", 1))
        back = self.decrypt(self.site.wan.recv())
        self.assertEqual((back.src, back.dst, back[ICMP].type), ("10.1.0.1", REMOTE_HOST, 11))

    def test_no_error_about_errors(self):
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST, ttl=1) / ICMP(type=3, code=1) / bytes(40))
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST, ttl=1, frag=100) / UDP() / bytes(40))
        self.assertIsNone(self.site.lan.recv(0.5))
        self.assertEqual(self.dp.settled()["drops"], {"ttl-expired": 2})

    def test_errors_are_limited(self):
        p = bytes(IP(src=HOST, dst=REMOTE_HOST, ttl=1) / UDP() / bytes(40))
        begun = time.monotonic()
        for i in range(2000):
            self.site.lan.send(p)
            if i % 512 == 511:
                self.site.keeps_up()
        n = len(self.site.lan.drain())
        self.assertGreater(n, 0)
        self.assertLessEqual(n, 20 * (2 + (time.monotonic() - begun) / 0.1))
        self.assertEqual(self.dp.settled()["drops"], {"ttl-expired": 2000})

    def test_mss(self):
        """SYNs both ways are lowered to what fits; other packets and smaller values stay."""
        for version, host, remote, over in ((4, HOST, REMOTE_HOST, 40), (6, HOST6, REMOTE6, 60)):
            ip = IP if version == 4 else IPv6
            fit = self.MTU - over
            for options, want in (([("MSS", 1460)], fit), ([("MSS", 500)], 500),
                                  ([("NOP", None), ("MSS", 9000), ("SAckOK", b"")], fit),
                                  ([("NOP", None), ("NOP", None), ("NOP", None), ("MSS", 1460)],
                                   fit)):
                syn = ip(src=host, dst=remote) / TCP(sport=5, dport=6, flags="S", options=options)
                self.site.lan.send(syn)
                out = self.decrypt(self.site.wan.recv())
                syn = ip(src=remote, dst=host) / TCP(sport=5, dport=6, flags="SA", options=options)
                self.seq = getattr(self, "seq", 0) + 1
                self.site.wan.send(self.encrypt(1, syn, self.seq))
                back = ip(self.site.lan.recv())
                for p in (out, back):
                    self.assertEqual(dict(p[TCP].options)["MSS"], want)
                    check = p.copy()
                    del check[TCP].chksum
                    self.assertEqual(ip(bytes(check))[TCP].chksum, p[TCP].chksum)
        ack = IP(src=HOST, dst=REMOTE_HOST) / TCP(flags="A", options=[("MSS", 1460)])
        self.site.lan.send(ack)
        self.assertEqual(dict(self.decrypt(self.site.wan.recv())[TCP].options)["MSS"], 1460)


if __name__ == "__main__":
    dplab.main()
