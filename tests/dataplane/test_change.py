# SPDX-License-Identifier: Apache-2.0
"""Changes under traffic: rekeys lose nothing and keep the order, with one worker and with several
that hand packets over; neighbours that change; an MTU that is too small."""

import random
import threading

import dplab
from dplab import *
from scapy.all import ESP, ICMP, ICMPv6PacketTooBig, IP, IPv6, Raw, SecurityAssociation, TCP, UDP, conf

conf.verb = 0
ANY = (("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"))


def key(n):
    return bytes([n]) * 36


def spi_in(slot):
    return 0x00700000 | slot


def spi_out(slot):
    return 0x50000000 | slot


class Site2(unittest.TestCase):
    workers = 1

    def setUp(self):
        self.site = Site(workers=self.workers)
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.routes()

    def routes(self):
        for t in range(2):
            self.dp.fib(TUNNEL_SET, tunnel(t, f"t{t}", f"tb{t}", [f"169.254.1{t}.2/30"]))
            self.dp.fib(GROUP_SET, group(t, t))
            self.dp.fib(ROUTE_SET, route(f"10.{2 + t}.0.0/24", t))
        self.dp.fib(ROUTE_SET, route("2001:db8:2::/64", 0))

    def add(self, slot, tun=0, **kw):
        kw.setdefault("selectors", ANY)
        self.dp.sa(SA_ADD_IN, sa(slot, spi_in(slot), tun, LOCAL, PEER, key=key(slot), **kw))
        self.dp.sa(SA_ADD_OUT, sa(slot, spi_out(slot), tun, LOCAL, PEER, key=key(slot), **kw))

    def switch(self, slot, tun=0):
        self.dp.sa(SA_SWITCH, ref(slot, tun))

    def remove(self, slot, tun=0):
        self.dp.sa(SA_DEL_OUT, ref(slot, tun))
        self.dp.sa(SA_DEL_IN, ref(slot, tun))

    def sa_of(self, slot, spi, src, dst):
        return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=key(slot),
                                   tunnel_header=IP(src=src, dst=dst))

    def decrypt(self, p):
        outer = IP(p)
        slot = outer[ESP].spi & 0xFFFFF
        return self.sa_of(slot, spi_out(slot), LOCAL, PEER).decrypt(outer)

    def encrypt(self, slot, inner, seq):
        return self.sa_of(slot, spi_in(slot), PEER, LOCAL).encrypt(inner, seq_num=seq)


class Rekey(Site2):
    def test_rekey_under_traffic(self):
        """Install, switch, delete, ten times, with packets on their way both ways all the time."""
        n_rekeys, gap = 10, 0.002
        self.add(1)
        self.switch(1)
        self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP() / b"neighbours")
        self.assertIsNotNone(self.site.wan.recv())
        self.site.wan.send(self.encrypt(1, IP(src=REMOTE_HOST, dst=HOST) / UDP() / b"too", 10000))
        self.assertIsNotNone(self.site.lan.recv())
        out = [bytes(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=7, dport=7) /
                     struct.pack("!I", i)) for i in range(2000)]
        stop = threading.Event()
        current = [1]
        sent = {"out": 0, "in": 0}

        def pump_out():
            while not stop.is_set() and sent["out"] < len(out):
                self.site.lan.send(out[sent["out"]])
                sent["out"] += 1
                time.sleep(gap)

        def pump_in():
            seqs = {1: 10000}
            while not stop.is_set():
                slot = current[0]
                seqs[slot] = seqs.get(slot, 0) + 1
                inner = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=8, dport=8) / \
                    struct.pack("!I", sent["in"])
                self.site.wan.send(self.encrypt(slot, inner, seqs[slot]))
                sent["in"] += 1
                time.sleep(gap)
        threads = [threading.Thread(target=f) for f in (pump_out, pump_in)]
        for t in threads:
            t.start()
        try:
            for slot in range(2, 2 + n_rekeys):
                time.sleep(0.05)
                self.add(slot)      # ours and the peer's inbound first,
                current[0] = slot   # then the peer sends by it
                self.switch(slot)   # and so do we,
                time.sleep(0.03)    # what was on its way arrives,
                self.remove(slot - 1)
        finally:
            stop.set()
            for t in threads:
                t.join()
        inside = [self.decrypt(p) for p in self.site.wan.drain()]
        numbers = [struct.unpack("!I", bytes(p[UDP].payload))[0] for p in inside if p.dport == 7]
        self.assertEqual(numbers, list(range(sent["out"])))
        arrived = [IP(p) for p in self.site.lan.drain()]
        numbers = [struct.unpack("!I", bytes(p[UDP].payload)[:4])[0] for p in arrived
                   if UDP in p and p.dport == 8]
        self.assertEqual(numbers, list(range(sent["in"])))
        self.assertEqual(self.dp.settled()["drops"], {})
        first = [e["slot"] for e in self.dp.events if e["type"] == EV_FIRST_IN]
        self.assertEqual(first, list(range(1, 2 + n_rekeys)))

    def test_tunnels_keep_their_order(self):
        """Two tunnels, each with a worker of its own if there are two; bursts from one port."""
        for t in range(2):
            self.add(10 + t, t)
            self.switch(10 + t, t)
        n = 3000
        for i in range(n):
            self.site.lan.send(bytes(IP(src=HOST, dst=f"10.{2 + i % 2}.0.9") / UDP(dport=7) /
                                     struct.pack("!I", i)))
            if i % 64 == 0:
                time.sleep(0.002)
        got = {0: [], 1: []}
        for p in self.site.wan.drain(0.5):
            inner = self.decrypt(p)
            got[int(inner.dst.split(".")[1]) - 2].append(
                struct.unpack("!I", bytes(inner[UDP].payload))[0])
        s = self.dp.settled()
        self.assertEqual(s["drops"], {})
        self.assertEqual(got[0], list(range(0, n, 2)))
        self.assertEqual(got[1], list(range(1, n, 2)))
        if self.workers == 2:
            self.assertGreater(min(w["packets"] for w in s["workers"][:2]), n / 3)

    def test_hub(self):
        """Out of one tunnel, into another; back into the same one is refused."""
        for t in range(2):
            self.add(10 + t, t)
            self.switch(10 + t, t)
        self.site.wan.send(self.encrypt(10, IP(src="10.2.0.9", dst="10.3.0.9") / UDP() / b"x", 1))
        p = self.site.wan.recv()
        self.assertEqual(IP(p)[ESP].spi, spi_out(11))
        inner = self.decrypt(p)
        self.assertEqual((inner.src, inner.dst, inner.ttl), ("10.2.0.9", "10.3.0.9", 63))
        self.site.wan.send(self.encrypt(10, IP(src="10.3.0.9", dst="10.2.0.9") / UDP() / b"x", 2))
        self.assertIsNone(self.site.wan.recv(0.5))
        self.assertEqual(self.dp.settled()["drops"], {"hairpin": 1})

    def test_neighbours(self):
        """A neighbour that answers late, one that moves, one that is not there."""
        self.add(1)
        self.switch(1)
        lan = self.site.lan
        lan.answer = False
        for i in range(5):
            self.site.wan.send(self.encrypt(
                1, IP(src=REMOTE_HOST, dst="10.1.0.11") / UDP(dport=7) / bytes([i]), i + 1))
        time.sleep(0.3)
        lan.answer = True
        sh("ip", "neigh", "replace", "10.1.0.11", "lladdr", MAC_LAN, "dev", "lan", ns="gw")
        got = [IP(p)[UDP].load for p in lan.drain() if IP(p).dst == "10.1.0.11"]
        self.assertEqual(got, [bytes([i]) for i in range(5)])
        sh("ip", "neigh", "replace", "10.1.0.11", "lladdr", "02:00:00:00:09:09", "dev", "lan",
           ns="gw")
        time.sleep(0.2)
        self.site.wan.send(self.encrypt(
            1, IP(src=REMOTE_HOST, dst="10.1.0.11") / UDP(dport=7) / b"moved", 10))
        frame = lan.frames.get(timeout=2)
        self.assertEqual(frame[:6].hex(), "020000000909")
        lan.answer = False
        for i in range(50):
            self.site.wan.send(self.encrypt(
                1, IP(src=REMOTE_HOST, dst="10.1.0.200") / UDP(dport=7) / b"nobody", 20 + i))
        time.sleep(2.5)
        s = self.dp.settled()
        self.assertEqual(s["drops"], {"neighbour-unreachable": 32, "hold-queue-full": 18})

    def test_directed_broadcast(self):
        self.add(1)
        self.switch(1)
        sh("ip", "neigh", "replace", "10.1.0.255", "lladdr", "ff:ff:ff:ff:ff:ff", "nud", "noarp",
           "dev", "lan", ns="gw")
        self.site.wan.send(self.encrypt(1, IP(src=REMOTE_HOST, dst="10.1.0.255") / UDP(), 1))
        self.assertIsNone(self.site.lan.recv(1.5))
        self.assertEqual(self.dp.settled()["drops"], {"neighbour-unreachable": 1})

    def test_gateway_answers_through_the_tunnel(self):
        """A host behind the peer pings our address on the LAN: Linux answers, in the tunnel."""
        self.add(1)
        self.switch(1)
        for ip, src, dst in ((IP, REMOTE_HOST, "10.1.0.1"), (IP, REMOTE_HOST, LOCAL)):
            self.site.wan.send(self.encrypt(
                1, ip(src=src, dst=dst) / ICMP(id=9) / b"ping", 1 if dst == LOCAL else 2))
            p = self.site.wan.recv()
            self.assertEqual(IP(p).proto, 50)
            back = self.decrypt(p)
            self.assertEqual((back.src, back.dst, back[ICMP].type, back.ttl), (dst, src, 0, 64))

    def test_stale_neighbour(self):
        """Linux sees none of our packets: it is told that a stale neighbour is in use."""
        self.add(1)
        self.switch(1)
        p = IP(src=HOST, dst=REMOTE_HOST) / UDP() / b"x"
        self.site.lan.send(p)
        self.assertIsNotNone(self.site.wan.recv())

        def state():
            return sh("ip", "neigh", "show", "192.0.2.254", ns="gw").split()[-1]
        sh("ip", "neigh", "change", "192.0.2.254", "dev", "wan", "nud", "stale", ns="gw")
        time.sleep(1.2)
        self.assertEqual(state(), "STALE")  # nobody uses it
        self.site.lan.send(p)
        self.assertIsNotNone(self.site.wan.recv())
        self.dp.until("a question", lambda: self.dp.stats() and state() != "STALE", 3)
        self.dp.until("an answer", lambda: self.dp.stats() and state() == "REACHABLE", 10)
        self.assertEqual(self.dp.settled()["drops"], {})

    def test_link(self):
        sh("ip", "link", "set", "w1", "down")
        self.dp.event(EV_LINK, port=0, up=0)
        self.assertEqual(self.dp.settled()["ports"][0]["link_up"], 0)
        sh("ip", "link", "set", "w1", "up")
        self.dp.event(EV_LINK, port=0, up=1)

    def test_outer_route_changes(self):
        """The way to the peer moves to another next hop: packets follow Linux's route."""
        self.add(1)
        self.switch(1)
        p = IP(src=HOST, dst=REMOTE_HOST) / UDP() / b"x"
        self.site.lan.send(p)
        self.assertEqual(self.site.wan.frames.get(timeout=2)[:6].hex(), MAC_WAN.replace(":", ""))
        sh("ip", "neigh", "replace", "192.0.2.77", "lladdr", "02:00:00:00:07:07", "dev", "wan",
           ns="gw")
        sh("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.77", ns="gw")
        time.sleep(0.5)
        self.site.lan.send(p)
        self.assertEqual(self.site.wan.frames.get(timeout=2)[:6].hex(), "020000000707")
        sh("ip", "route", "del", "198.51.100.0/24", ns="gw")
        sh("ip", "route", "del", "default", ns="gw")
        time.sleep(0.5)
        self.site.lan.send(p)
        self.assertIsNone(self.site.wan.recv(0.5))
        self.assertEqual(self.dp.settled()["drops"], {"adjacency-unresolved": 1})


class RekeyTwoWorkers(Rekey):
    workers = 2


class Reassembly(Site2):
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
                f"s.bind(('{LOCAL}',%d)); s.settimeout(3); print('up',flush=True);"
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


class Restart(Site2):
    def test_crash(self):
        """Killed outright and started again on the same interfaces: it serves again."""
        for _ in range(3):
            self.add(1)
            self.switch(1)
            self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP() / b"x")
            self.assertEqual(IP(self.site.wan.recv())[ESP].spi, spi_out(1))
            self.site.wan.send(self.encrypt(1, IP(src=REMOTE_HOST, dst=HOST) / UDP() / b"y", 1))
            self.assertIn(b"y", self.site.lan.recv())
            os.kill(dp_pid(), 9)
            self.assertEqual(self.dp.ended(), 128 + 9)
            self.dp.close()
            self.assertNotIn("tb0", sh("ip", "link", ns="gw"))
            self.site.start(config())
            self.dp = self.site.dp
            self.routes()
        self.assertEqual(self.dp.settled()["drops"], {})


class Sizes(Site2):
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
        for _ in range(2000):
            self.site.lan.send(p)
        n = len(self.site.lan.drain())
        self.assertGreater(n, 0)
        self.assertLess(n, 500)
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
