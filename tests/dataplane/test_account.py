# SPDX-License-Identifier: Apache-2.0
"""Every packet is accounted for, nothing leaves in clear, and rubbish changes counters only."""

import random
import threading

import dplab
from dplab import *
from scapy.all import (ARP, ESP, Ether, ICMP, IP, IPv6, Raw, SecurityAssociation, TCP, UDP, conf,
                       fragment)

conf.verb = 0
KEY = bytes(range(36))
SPI = 0x00700005


class Account(unittest.TestCase):
    workers = 1

    def setUp(self):
        self.site = Site(workers=self.workers)
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.dp.fib(ROUTE_SET, route("2001:db8:2::/64", 0))

    def install(self, slot=5, spi_out=0x1000, **kw):
        kw.setdefault("selectors", (("10.1.0.0/24", "10.2.0.0/24"),))
        self.dp.sa(SA_ADD_IN, sa(slot, SPI & ~0xFFFFF | slot, 0, LOCAL, PEER, key=KEY, **kw))
        self.dp.sa(SA_ADD_OUT, sa(slot, spi_out, 0, LOCAL, PEER, key=KEY, **kw))
        self.dp.sa(SA_SWITCH, ref(slot, 0))
        self.peer = SecurityAssociation(ESP, spi=SPI & ~0xFFFFF | slot, crypt_algo="AES-GCM",
                                        crypt_key=KEY, tunnel_header=IP(src=PEER, dst=LOCAL))

    def clear_text(self, packets):
        """Those on the WAN that are not ESP, IKE or the gateway's own ICMP."""
        out = []
        for p in packets:
            ip = IP(p) if p[0] >> 4 == 4 else IPv6(p)
            if p[0] >> 4 == 4 and (ip.proto == 50 or (ip.proto == 17 and ip.dport == 4500)):
                continue
            if ip.src in (HOST, REMOTE_HOST, HOST6, REMOTE6) or b"secret" in p:
                out.append(p)
        return out

    def test_nothing_in_clear(self):
        """No SA, an SA deleted under traffic, no tunnel, no group, no route, by the mirror."""
        stop = threading.Event()
        flow = [bytes(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=i, dport=9) / b"secret")
                for i in range(64)]
        sent = [0]

        def pump():
            while not stop.is_set():
                for p in flow:
                    self.site.lan.send(p)
                    sent[0] += 1
                time.sleep(0.005)
        t = threading.Thread(target=pump)
        t.start()

        def more(of, n=20):
            """Waits until the traffic has met the present state n times."""
            def now():
                s = self.dp.stats()
                return s["tunnels"][0]["out_packets"] if of == "sent" else s["drops"].get(of, 0)
            start = now()
            self.dp.until(of, lambda: now() >= start + n)
        try:
            for slot in range(5, 11):
                more("no-tunnel")
                self.install(slot, 0x1000 + slot)
                more("sent")
                self.dp.sa(SA_DEL_OUT, ref(slot, 0))
                self.dp.sa(SA_DEL_IN, ref(slot, 0))
            self.install(20, 0x2000)
            more("sent")
            self.dp.fib(GROUP_SET, group(0))
            more("no-tunnel")
            self.dp.fib(GROUP_SET, group(0, 0))
            self.dp.fib(GROUP_DEL, group(0))
            more("no-tunnel")
            self.dp.fib(GROUP_SET, group(0, 0))
            self.dp.fib(ROUTE_DEL, route("10.2.0.0/24", 0))
            more("not-protected")
            self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
            more("sent")
            self.dp.sa(SA_FLUSH)
            more("no-tunnel")
        finally:
            stop.set()
            t.join()
        # Linux, too: its default route leads out of the WAN port.
        sh("ping", "-c", "2", "-W", "1", "-i", "0.2", "-p", "73656372657420", REMOTE_HOST,
           ns="gw", check=False)
        wan = self.site.wan.drain()
        self.assertGreater(sum(p[9] == 50 for p in wan), 50)
        self.assertEqual(self.clear_text(wan), [])
        s = self.dp.settled()
        self.assertEqual(balance(s), 0)
        self.assertEqual(self.site.wan.lost(), 0)
        # A busy machine may leave the port's queue full: what does not fit is sealed, and counted as dropped.
        self.assertEqual(sum(p[9] == 50 for p in wan), s["tunnels"][0]["out_packets"] - s["drops"].get("tx-full", 0),
                         f"{s['drops']}\n" + sh("ip", "-s", "link", "show", "w0", ns="gw") +
                         sh("ip", "-s", "link", "show", "w1"))

    def test_port_to_port(self):
        """Nothing is forwarded between ports without a tunnel."""
        self.install()
        self.site.lan.send(IP(src=HOST, dst="192.0.2.254") / UDP(sport=1, dport=2) / b"secret")
        self.site.lan.send(IP(src=HOST, dst="203.0.113.1") / UDP(sport=1, dport=2) / b"secret")
        self.site.lan.send(IPv6(src=HOST6, dst="2001:db8:ff::254") / UDP() / b"secret")
        self.site.wan.send(IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) / b"secret")
        self.assertEqual(self.clear_text(self.site.wan.drain()), [])
        self.assertEqual([p for p in self.site.lan.drain() if b"secret" in p], [])
        s = self.dp.settled()
        self.assertEqual(s["drops"], {"not-protected": 4})
        self.assertEqual(balance(s), 0)

    def test_each_drop(self):
        """One packet for each reason; each adds one to its counter and to no other."""
        self.install()
        esp = self.peer.encrypt(IP(src=REMOTE_HOST, dst=HOST) / UDP() / Raw(bytes(2000)), seq_num=1)
        udp = IP(src=PEER, dst=LOCAL) / UDP(sport=4500, dport=4500)
        lan = IP(src=HOST, dst=REMOTE_HOST)
        inner = IP(src=REMOTE_HOST, dst="10.1.0.77") / UDP() / b"x"
        cases = [
            ("nat-keepalive", self.site.wan, udp / b"\xff"),
            ("outer-reassembly-failed", self.site.wan, fragment(esp, 1000)[0]),
            ("unknown-spi", self.site.wan, IP(src=PEER, dst=LOCAL) / ESP(spi=1234, data=bytes(40))),
            ("unknown-spi", self.site.wan, udp / bytes(range(1, 100))),
            ("bad-ip-header", self.site.wan, b"\x44" + bytes(39)),
            ("bad-ip-header", self.site.wan, b"\x15" + bytes(39)),
            ("bad-ip-header", self.site.lan, bytes(lan / UDP())[:-1]),
            ("bad-ip-header", self.site.lan, bytes(IPv6(src=HOST6, dst=REMOTE6) / UDP())[:-1]),
            ("bad-ip-checksum", self.site.lan, IP(src=HOST, dst=REMOTE_HOST, chksum=1) / UDP()),
            ("ttl-expired", self.site.lan, IP(src=HOST, dst=REMOTE_HOST, ttl=1) / UDP() / b"x"),
            ("ttl-expired", self.site.lan, IP(src=HOST, dst=REMOTE_HOST, ttl=0) / UDP() / b"x"),
            ("too-big-for-tunnel", self.site.lan,
             IP(src=HOST, dst=REMOTE_HOST, flags="DF") / UDP() / bytes(1450)),
            ("esp-out-selector-mismatch", self.site.lan,
             IPv6(src=HOST6, dst=REMOTE6) / UDP() / b"x"),
            ("esp-in-selector-mismatch", self.site.wan, self.peer.encrypt(
                IP(src="10.9.0.1", dst=HOST) / UDP() / b"x", seq_num=3)),
            ("ttl-expired", self.site.wan, self.peer.encrypt(
                IP(src=REMOTE_HOST, dst=HOST, ttl=1) / UDP() / b"x", seq_num=4)),
            ("neighbour-unreachable", self.site.wan, self.peer.encrypt(inner, seq_num=5)),
            ("not-protected", self.site.lan, IP(src=HOST, dst="8.8.8.8") / UDP()),
        ]
        before = self.dp.settled()
        self.assertEqual(before["drops"], {})
        expect = {}
        for reason, wire, packet in cases:
            expect[reason] = expect.get(reason, 0) + 1
            with self.subTest(reason):
                wire.send(packet)
                self.dp.until(reason, lambda: self.dp.stats()["drops"].get(reason, 0) ==
                              expect[reason], 4)
        s = self.dp.settled()
        self.assertEqual(s["drops"], expect)
        self.assertEqual(balance(s), 0)

    def test_frames(self):
        """Other MACs, short frames, VLANs, unknown ether types."""
        w = self.site.wan
        ip = bytes(IP(src=PEER, dst=LOCAL) / ICMP(type=0))  # asks for no answer
        s0 = self.dp.settled()
        w.sock.send(bytes.fromhex("020000000099") + w.raw_mac + b"\x08\x00" + ip)
        w.sock.send(w.gw_mac + w.raw_mac + b"\x88\xb5" + b"test")
        w.sock.send(w.gw_mac + w.raw_mac + b"\x81\x00\x00\x07\x08\x00" + ip)
        w.sock.send(b"\xff" * 6 + w.raw_mac + b"\x08\x00" + ip)
        s = self.dp.settled()
        self.assertEqual(s["drops"], {"not-our-mac": 1})
        self.assertEqual(s["ports"][0]["to_linux"] - s0["ports"][0]["to_linux"], 3)
        self.assertEqual(balance(s), 0)

    def test_linux_answers_once(self):
        """ARP, ping and a closed port: one answer each, although the kernel sees the interface."""
        w = self.site.wan
        w.answer = True
        ours = sh("cat", "/sys/class/net/wan/address", ns="gw").strip()
        got = []
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        sock.bind(("w1", 0))
        sock.settimeout(0.5)
        sock.send(bytes(Ether(src=MAC_WAN, dst="ff:ff:ff:ff:ff:ff") / ARP(
            hwsrc=MAC_WAN, psrc="192.0.2.254", pdst=LOCAL)))
        w.send(IP(src="192.0.2.254", dst=LOCAL) / ICMP(id=7, seq=1) / b"ping")
        w.send(IP(src="192.0.2.254", dst=LOCAL) / UDP(sport=5, dport=33434) / b"closed")

        def take():
            try:
                frame, meta = sock.recvfrom(4096)
            except socket.timeout:
                return False
            if meta[2] != socket.PACKET_OUTGOING:
                got.append(Ether(frame))
            return True

        def kinds():
            return ([g for g in got if ARP in g and g[ARP].op == 2 and g[ARP].psrc == LOCAL],
                    [g for g in got if ICMP in g and g[ICMP].type == 0], [g for g in got if ICMP in g and g[ICMP].type == 3])
        self.dp.until("three answers", lambda: take() and all(kinds()))
        time.sleep(0.5)
        self.site.through()
        while take():
            pass
        sock.close()
        arps, pongs, closed = kinds()
        self.assertEqual([len(arps), len(pongs), len(closed)], [1, 1, 1])
        self.assertEqual(arps[0][ARP].hwsrc, ours)
        self.assertEqual(balance(self.dp.settled()), 0)

    def test_rubbish(self):
        """Bit flips, truncations and noise at both ports: counters move, nothing else does."""
        self.install()
        rnd = random.Random(7)
        good = [bytes(self.peer.encrypt(IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=1, dport=2) /
                                        Raw(rnd.randbytes(n)), seq_num=n + 10))
                for n in range(0, 200, 7)]
        udp = [bytes(IP(src=PEER, dst=LOCAL) / UDP(sport=4500, dport=4500) / Raw(g[20:]))
               for g in good]
        links = sh("ip", "-br", "addr", ns="gw")
        for i in range(4000):
            b = bytearray(rnd.choice(rnd.choice((good, udp))))
            kind = rnd.randrange(4)
            if kind == 0:
                b = b[:rnd.randrange(1, len(b))]
            elif kind == 1:
                at = rnd.randrange(20, len(b))
                b[at] ^= 1 << rnd.randrange(8)
            elif kind == 2:
                for _ in range(rnd.randrange(1, 9)):
                    b[rnd.randrange(len(b))] = rnd.randrange(256)
            else:
                b = bytearray(rnd.randbytes(rnd.randrange(1, 300)))
                b[0] = rnd.choice((0x45, 0x46, 0x60, 0x4f, b[0]))
            if kind != 3 and rnd.randrange(2) and len(b) >= 20:  # with a length and a checksum that hold
                b[0] = 0x45
                b[2:4] = struct.pack("!H", len(b))
                b[10:12] = bytes(2)
                c = sum(struct.unpack("!10H", b[:20]))
                c = (c & 0xffff) + (c >> 16)
                c = (c & 0xffff) + (c >> 16)
                b[10:12] = struct.pack("!H", ~c & 0xffff)
            (self.site.wan if rnd.randrange(4) else self.site.lan).send(bytes(b))
            if i % 200 == 0:
                time.sleep(0.01)
        time.sleep(1.2)  # parts of packets that never become whole are given up
        s = self.dp.settled()
        self.assertEqual(balance(s), 0)
        self.assertEqual(sh("ip", "-br", "addr", ns="gw"), links)
        self.site.lan.drain()
        self.site.wan.drain()
        # and it still works
        self.site.wan.send(self.peer.encrypt(IP(src=REMOTE_HOST, dst=HOST) / UDP() / b"after",
                                             seq_num=1000))
        self.assertIn(b"after", self.site.lan.recv())
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP() / b"after")
        self.assertEqual(IP(self.site.wan.recv()).proto, 50)


class AccountTwoWorkers(Account):
    workers = 2


if __name__ == "__main__":
    dplab.main()
