# SPDX-License-Identifier: Apache-2.0
"""SAs of single workers (RFC 9611): who sends by which, never two by one, and who opens which.

Two workers: the WAN port is polled by worker 0, which owns tunnel 0, the LAN port by worker 1."""

import dplab
from dplab import *
from scapy.all import ESP, IP, Raw, SecurityAssociation, UDP, conf

conf.verb = 0

COMMON, OF_LAN, OF_WAN = 0x1000, 0x2000, 0x3000  # SPIs
SLOTS = {COMMON: 5, OF_LAN: 6, OF_WAN: 7}
KEYS = {spi: bytes((i * 7 + spi // 256) & 255 for i in range(36)) for spi in SLOTS}
RES_WAN, RES_LAN = 1, 2  # worker + 1
SELECTORS = (("0.0.0.0/0", "10.2.0.0/24"),)


class Resource(unittest.TestCase):
    def setUp(self):
        self.site = Site(workers=2)
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.peers = {spi: SecurityAssociation(
            ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=KEYS[spi],
            tunnel_header=IP(src=LOCAL, dst=PEER)) for spi in SLOTS}
        self.seen = set()
        for spi in SLOTS:
            self.add(spi)

    def add(self, spi, **kw):
        self.dp.sa(SA_ADD_OUT, sa(SLOTS[spi], spi, 0, LOCAL, PEER, key=KEYS[spi],
                                  selectors=SELECTORS, **kw))

    def switch(self, spi, resource=0, want=OK):
        self.dp.sa(SA_SWITCH, ref(SLOTS[spi] if spi else NONE, 0, resource), want)

    def took(self, p):
        """What left: its SPI. It opens, and its number was never used before."""
        p = IP(p)
        self.assertEqual((p.proto, p.src, p.dst), (50, LOCAL, PEER))
        spi, seq = p[ESP].spi, p[ESP].seq
        self.assertNotIn((spi, seq), self.seen)
        self.seen.add((spi, seq))
        self.assertEqual(self.peers[spi].decrypt(p).dst, REMOTE_HOST)
        return spi

    def via(self, wire, timeout=2.0):
        """The SPI by which a packet leaves that came in on this wire."""
        wire.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=1, dport=2) / b"x")
        p = self.site.wan.recv(timeout)
        return self.took(p) if p else None

    def both(self):
        return self.via(self.site.lan), self.via(self.site.wan)

    def test_who_sends_by_what(self):
        self.switch(COMMON)
        self.assertEqual(self.both(), (COMMON, COMMON))
        self.switch(OF_LAN, RES_LAN)
        self.assertEqual(self.both(), (OF_LAN, COMMON))
        self.switch(OF_WAN, RES_WAN)
        self.assertEqual(self.both(), (OF_LAN, OF_WAN))
        # The owner's own is for what it meets itself; others without one go by the common one.
        self.switch(None, RES_LAN)
        self.assertEqual(self.both(), (COMMON, OF_WAN))
        self.switch(None, RES_WAN)
        self.assertEqual(self.both(), (COMMON, COMMON))
        # What Linux sends belongs to no worker.
        self.switch(OF_LAN, RES_LAN)
        self.switch(OF_WAN, RES_WAN)
        sh("ip", "route", "add", REMOTE_HOST, "dev", "tb0", ns="gw")
        sh("ping", "-c", "1", "-W", "1", REMOTE_HOST, ns="gw", check=False)
        self.assertEqual(self.took(self.site.wan.recv()), COMMON)
        # The common one may be the owner's own, too, and leaves with it.
        self.switch(COMMON, RES_WAN)
        self.assertEqual(self.both(), (OF_LAN, COMMON))
        s = self.dp.settled()
        self.assertEqual((s["drops"], s["tunnels"][0]["current_slot"]), ({}, SLOTS[COMMON]))
        self.assertEqual(s["tunnels"][0]["out_packets"], len(self.seen))

    def test_deleted(self):
        for spi, resource in ((COMMON, 0), (OF_LAN, RES_LAN), (OF_WAN, RES_WAN)):
            self.switch(spi, resource)
        self.dp.sa(SA_DEL_OUT, ref(SLOTS[OF_LAN], 0))
        self.assertEqual(self.both(), (COMMON, OF_WAN))
        self.dp.sa(SA_DEL_OUT, ref(SLOTS[COMMON], 0))
        self.assertIsNone(self.via(self.site.lan, 0.5))
        self.assertEqual(self.via(self.site.wan), OF_WAN)
        self.dp.sa(SA_DEL_OUT, ref(SLOTS[OF_WAN], 0))
        self.assertIsNone(self.via(self.site.wan, 0.5))
        # Worker 1 had no SA, and did not look for one beyond the group's members.
        self.assertEqual(self.dp.settled()["drops"], {"no-tunnel": 2})
        self.add(OF_LAN)
        self.switch(OF_LAN, RES_LAN)
        self.seen = {s for s in self.seen if s[0] != OF_LAN}
        self.assertEqual(self.via(self.site.lan), OF_LAN)
        self.dp.sa(SA_FLUSH)
        self.assertIsNone(self.via(self.site.lan, 0.5))

    def test_refused(self):
        self.switch(COMMON)
        self.switch(OF_LAN, RES_LAN)
        for resource in (3, 4, 33, NONE):
            self.switch(OF_WAN, resource, E_MALFORMED)
            self.switch(None, resource, E_MALFORMED)
        self.dp.sa(SA_SWITCH, ref(SLOTS[OF_WAN], 0, RES_LAN, zero=1), E_MALFORMED)
        self.dp.sa(SA_SWITCH, ref(SLOTS[OF_WAN], 1, RES_LAN), E_NO_SUCH)
        self.dp.sa(SA_SWITCH, ref(20, 0, RES_LAN), E_NO_SUCH)
        # An SA has one owner for life, in use or not.
        self.switch(COMMON, RES_LAN, E_EXISTS)
        self.switch(OF_LAN, 0, E_EXISTS)
        self.switch(OF_LAN, RES_WAN, E_EXISTS)
        self.assertEqual(self.both(), (OF_LAN, COMMON))
        self.switch(None, RES_LAN)
        self.switch(OF_LAN, 0, E_EXISTS)
        self.switch(OF_LAN, RES_LAN)
        self.assertEqual(self.both(), (OF_LAN, COMMON))

    def test_who_opens_what(self):
        """An inbound SA is its worker's: what comes to that worker's queue stays there. All comes in by
        worker 0's port here, and leaves by the other one."""
        own = {0x100: (10, 0), 0x200: (11, RES_WAN), 0x300: (12, RES_LAN), 0x400: (13, 4)}
        selectors = (("10.1.0.0/24", "10.2.0.0/24"),)
        per_sa = 40
        for spi, (slot, resource) in own.items():
            self.dp.sa(SA_ADD_IN, sa(slot, spi << 20 | slot, 0, LOCAL, PEER, selectors=selectors,
                                     resource=resource))
        self.dp.sa(SA_ADD_IN, sa(14, 0x500 << 20 | 14, 0, LOCAL, PEER, zero=1), E_MALFORMED)
        self.dp.sa(SA_ADD_OUT, sa(14, 0x5000, 0, LOCAL, PEER, resource=1), E_MALFORMED)
        before = self.dp.settled()
        for spi, (slot, resource) in own.items():
            was = [w["handed"] for w in self.dp.settled()["workers"]]
            peer = SecurityAssociation(ESP, spi=spi << 20 | slot, crypt_algo="AES-GCM",
                                       crypt_key=bytes(range(36)),
                                       tunnel_header=IP(src=PEER, dst=LOCAL))
            for n in range(per_sa):
                self.site.wan.send(peer.encrypt(
                    IP(src=REMOTE_HOST, dst=HOST) / UDP(sport=spi, dport=n) / b"z", seq_num=n + 1))
            got = [IP(p)[UDP].dport for p in self.site.lan.drain()]
            self.assertEqual(got, list(range(per_sa)), f"{spi:x}")
            now = self.dp.settled()
            handed = [b["handed"] - a for a, b in zip(was, now["workers"])]
            self.assertEqual(now["sas"][str(slot)]["in_packets"], per_sa)
            # Resource 4 of two workers is worker 1's.
            self.assertEqual(handed[0], per_sa if resource in (RES_LAN, 4) else 0, (spi, handed))
        s = self.dp.settled()
        self.assertEqual(s["drops"], before["drops"])
        self.assertEqual(s["tunnels"][0]["in_packets"], per_sa * len(own))

    def test_mtu(self):
        """The inside interface fits through every SA in use."""
        def mtu():
            return self.dp.stats()["tunnels"][0]["mtu"]
        self.switch(COMMON)
        self.assertEqual(mtu(), 1446)
        self.dp.sa(SA_ADD_OUT, sa(8, 0x4000, 0, LOCAL, PEER, encr=CBC, integ=SHA512,
                                  selectors=SELECTORS))
        self.assertEqual(mtu(), 1446)
        self.dp.sa(SA_SWITCH, ref(8, 0, RES_LAN))
        self.assertEqual(mtu(), 1422)
        self.dp.sa(SA_DEL_OUT, ref(8, 0))
        self.assertEqual(mtu(), 1446)

    def test_changes_under_traffic(self):
        """Both workers send while their SAs come and go: nothing lost, nothing sent twice."""
        self.switch(COMMON)
        per_round, rounds = 20, 40
        for i in range(rounds):
            for spi, resource in ((OF_LAN, RES_LAN), (OF_WAN, RES_WAN)):
                kind = self.dp.push("sa", SA_SWITCH,
                                    ref(NONE if (i + resource) % 3 == 0 else SLOTS[spi], 0,
                                        resource))
            for n in range(per_round):
                for wire in (self.site.lan, self.site.wan):
                    wire.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=i, dport=n) / Raw(b"y"))
            if i % 10 == 9:
                self.site.keeps_up()
        self.dp.until("answer", lambda: kind in self.dp.acks["sa"])
        self.assertEqual({s for s in self.dp.acks["sa"].values()}, {OK})
        by = {spi: 0 for spi in SLOTS}
        for p in self.site.wan.drain():
            by[self.took(p)] += 1
        s = self.dp.settled()
        self.assertEqual((sum(by.values()), s["drops"]), (per_round * rounds * 2, {}), by)
        self.assertTrue(all(by.values()), by)
        t = s["tunnels"][0]
        self.assertEqual((t["out_packets"], t["out_dropped"]), (per_round * rounds * 2, 0))
        for spi, n in by.items():
            self.assertEqual(s["sas"][str(SLOTS[spi])]["out_packets"], n)


if __name__ == "__main__":
    dplab.main()
