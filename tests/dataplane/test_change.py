# SPDX-License-Identifier: Apache-2.0
"""Changes under traffic: rekeys lose nothing and keep the order, with one worker and with several
that hand packets over; neighbours, links and routes that change; a dataplane that is killed."""

import threading

import dplab
from two_tunnels import *
from scapy.all import ESP, ICMP, IP, UDP, conf

conf.verb = 0


class Rekey(TwoTunnels):
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
        seqs = {1: 10000}

        def pump_out():
            while not stop.is_set() and sent["out"] < len(out):
                self.site.lan.send(out[sent["out"]])
                sent["out"] += 1
                time.sleep(gap)

        def pump_in():
            while not stop.is_set():
                slot = current[0]
                seq = seqs.get(slot, 0) + 1
                inner = IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=8, dport=8) / \
                    struct.pack("!I", sent["in"])
                self.site.wan.send(self.encrypt(slot, inner, seq))
                seqs[slot] = seq
                sent["in"] += 1
                time.sleep(gap)

        def all_by(slot):
            """The peer sends by this SA, and what it sent by the one before has come."""
            return slot in seqs and self.dp.stats()["sas"][str(slot - 1)]["in_seq_high"] == seqs[slot - 1]
        threads = [threading.Thread(target=f) for f in (pump_out, pump_in)]
        for t in threads:
            t.start()
        try:
            for slot in range(2, 2 + n_rekeys):
                time.sleep(0.05)
                self.add(slot)      # ours and the peer's inbound first,
                current[0] = slot   # then the peer sends by it
                self.switch(slot)   # and so do we,
                self.dp.until("what was on its way", lambda: all_by(slot))
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
            if i % 512 == 0:
                self.site.keeps_up()
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
        n = iter(range(10, 1000))

        def goes_to():
            self.site.wan.send(self.encrypt(
                1, IP(src=REMOTE_HOST, dst="10.1.0.11") / UDP(dport=7) / b"moved", next(n)))
            return lan.frames.get(timeout=20)[:6].hex()
        self.dp.until("its new address", lambda: goes_to() == "020000000909")
        lan.answer = False
        for i in range(50):
            self.site.wan.send(self.encrypt(
                1, IP(src=REMOTE_HOST, dst="10.1.0.200") / UDP(dport=7) / b"nobody", 1000 + i))
        self.dp.until("all given up", lambda: sum(self.dp.stats()["drops"].values()) == 50)
        # The queue holds 32 for a second; whoever is slow in sending finds it empty again.
        s = self.dp.settled()
        self.assertEqual(set(s["drops"]), {"neighbour-unreachable", "hold-queue-full"})
        self.assertEqual((sum(s["drops"].values()), s["drops"]["neighbour-unreachable"] >= 32), (50, True))

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

        def stays_stale():
            sh("ip", "neigh", "change", "192.0.2.254", "dev", "wan", "nud", "stale", ns="gw")
            time.sleep(1.2)
            return state() == "STALE"
        self.dp.until("nobody uses it", stays_stale)  # but the packet before may still be told of
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
        self.assertEqual(self.site.wan.frames.get(timeout=20)[:6].hex(), MAC_WAN.replace(":", ""))
        sh("ip", "neigh", "replace", "192.0.2.77", "lladdr", "02:00:00:00:07:07", "dev", "wan",
           ns="gw")
        sh("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.77", ns="gw")


        def goes_to():
            self.site.lan.send(p)
            if not self.site.through():
                return "on its way"
            return self.site.wan.frames.get()[:6].hex() if self.site.wan.frames.qsize() else ""
        self.dp.until("the other next hop", lambda: goes_to() == "020000000707")
        sh("ip", "route", "del", "198.51.100.0/24", ns="gw")
        sh("ip", "route", "del", "default", ns="gw")
        self.dp.until("no way", lambda: not goes_to())
        self.assertEqual(self.dp.settled()["drops"], {"adjacency-unresolved": 1})


class RekeyTwoWorkers(Rekey):
    workers = 2


class Restart(TwoTunnels):
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


if __name__ == "__main__":
    dplab.main()
