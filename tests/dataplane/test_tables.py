# SPDX-License-Identifier: Apache-2.0
"""Route tables: what comes out of a tunnel goes where its own table says, to other tunnels and to hosts, and
nowhere else; and what a packet on its way from tunnel to tunnel meets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "esp"))
import dplab
from dplab import *
from scapy.all import ESP, ICMP, IP, IPv6, ICMPv6TimeExceeded, Raw, SecurityAssociation, UDP, conf

conf.verb = 0

KEY = bytes(range(1, 37))
ANY = (("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"))

# Two domains of two sites each; both use the same networks.
TABLES = {0: 1, 1: 1, 2: 2, 3: 2}
SITE = {0: "10.20.0.9", 1: "10.21.0.9", 2: "10.20.0.9", 3: "10.21.0.9"}
SITE6 = {0: "2001:db8:20::9", 1: "2001:db8:21::9", 2: "2001:db8:20::9", 3: "2001:db8:21::9"}


def peer_of(t):
    return f"198.51.100.{t + 1}"


class Tables(unittest.TestCase):
    text = None

    def setUp(self):
        self.site = Site(self.text)
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        self.seq = dict.fromkeys(TABLES, 0)
        for t, table in TABLES.items():
            self.dp.fib(TUNNEL_SET, tunnel(t, f"t{t}", table=table))
            self.dp.fib(GROUP_SET, group(t, t))
            both = dict(key=KEY, selectors=ANY)
            self.dp.sa(SA_ADD_IN, sa(t, 0x700000 | t, t, LOCAL, peer_of(t), **both))
            self.dp.sa(SA_ADD_OUT, sa(t, 0x1000 + t, t, LOCAL, peer_of(t), **both))
            self.dp.sa(SA_SWITCH, ref(t, t))
        for t in TABLES:
            self.route(SITE[t] + "/32", t, TABLES[t])
            self.route(SITE6[t] + "/128", t, TABLES[t])

    def route(self, prefix, group_index, table, want=OK):
        self.dp.fib(ROUTE_SET, route(prefix, group_index, table), want)

    def send(self, t, inner):
        """As the peer of tunnel t."""
        self.seq[t] += 1
        made = SecurityAssociation(ESP, spi=0x700000 | t, crypt_algo="AES-GCM", crypt_key=KEY,
                                   tunnel_header=IP(src=peer_of(t), dst=LOCAL))
        self.site.wan.send(made.encrypt(inner, seq_num=self.seq[t]))

    def out(self, timeout=1.5):
        """What leaves by a tunnel: its number and the packet; or None."""
        p = self.site.wan.recv(timeout)
        if p is None:
            return None
        outer = IP(p)
        t = outer[ESP].spi - 0x1000
        self.assertEqual((outer.src, outer.dst), (LOCAL, peer_of(t)))
        return t, SecurityAssociation(ESP, spi=0x1000 + t, crypt_algo="AES-GCM", crypt_key=KEY,
                                      tunnel_header=IP(src=LOCAL, dst=peer_of(t))).decrypt(outer)

    def gone(self, **reasons):
        """Nothing came out; why is counted under these names, and no other, since the last look."""
        self.assertIsNone(self.out(0.3))
        self.assertIsNone(self.site.lan.recv(0.1))
        drops = self.dp.settled()["drops"]
        before = getattr(self, "before", {})
        self.before = drops
        self.assertEqual({k: v - before.get(k, 0) for k, v in drops.items() if v != before.get(k, 0)},
                         {k.replace("_", "-"): v for k, v in reasons.items()})

    def test_domains(self):
        """The same address is another site's in each domain; there is no way between them but by a route."""
        for a, b in ((0, 1), (1, 0), (2, 3), (3, 2)):
            self.send(a, IP(src=SITE[a], dst=SITE[b], ttl=9) / UDP(sport=1, dport=2) / bytes([a]))
            t, p = self.out()
            self.assertEqual((t, p.dst, p.ttl, p[Raw].load), (b, SITE[b], 8, bytes([a])))
            self.send(a, IPv6(src=SITE6[a], dst=SITE6[b], hlim=9) / UDP(sport=1, dport=2) / bytes([a]))
            t, p = self.out()
            self.assertEqual((t, p.dst, p.hlim), (b, SITE6[b], 8))
        # A network that the second domain alone knows.
        self.route("10.99.0.0/16", 3, 2)
        self.send(0, IP(src=SITE[0], dst="10.99.0.1") / UDP() / b"x")
        self.gone(no_route=1)
        self.send(2, IP(src=SITE[2], dst="10.99.0.1") / UDP() / b"x")
        self.assertEqual(self.out()[0], 3)
        self.route("10.99.0.0/16", 3, 1)
        self.send(0, IP(src=SITE[0], dst="10.99.0.1") / UDP() / b"x")
        self.assertEqual(self.out()[0], 3)
        # Its table is another one now; without one it goes nowhere.
        self.dp.fib(TUNNEL_SET, tunnel(2, "t2", table=1))
        self.dp.fib(ROUTE_DEL, route("10.99.0.0/16", 0, 1))
        self.send(2, IP(src=SITE[2], dst="10.99.0.1") / UDP() / b"x")
        self.gone(no_route=1)
        self.dp.fib(TUNNEL_DEL, tunnel(0, ""))
        self.send(0, IP(src=SITE[0], dst=SITE[1]) / UDP() / b"x")
        self.gone(no_route=1)
        # A table that holds nothing any more.
        for t in (2, 3):
            self.dp.fib(ROUTE_DEL, route(SITE[t] + "/32", 0, 2))
            self.dp.fib(ROUTE_DEL, route(SITE6[t] + "/128", 0, 2))
        self.dp.fib(ROUTE_DEL, route("10.99.0.0/16", 0, 2))
        self.send(3, IP(src=SITE[3], dst=SITE[2]) / UDP() / b"x")
        self.gone(no_route=1)

    def test_ports(self):
        """Our own networks are table 0's, and another one's by a route to them; ports' packets are table 0's."""
        self.send(0, IP(src=SITE[0], dst=HOST) / UDP() / b"x")
        self.gone(no_route=1)
        self.route("10.1.0.0/24", PORTS, 1)
        self.send(0, IP(src=SITE[0], dst=HOST) / UDP(sport=7, dport=8) / b"in")
        p = IP(self.site.lan.recv())
        self.assertEqual((p.src, p.dst, p.ttl, p[Raw].load), (SITE[0], HOST, 63, b"in"))
        self.send(2, IP(src=SITE[2], dst=HOST) / UDP() / b"x")
        self.gone(no_route=1)
        self.site.lan.send(IP(src=HOST, dst=SITE[0]) / UDP() / b"x")
        self.gone(not_protected=1)
        self.route(SITE[0] + "/32", 0, 0)
        self.site.lan.send(IP(src=HOST, dst=SITE[0]) / UDP() / b"x")
        self.assertEqual(self.out()[0], 0)
        # It leads to networks of ports only, not to what else table 0 knows.
        self.route("0.0.0.0/0", PORTS, 2)
        self.route("10.77.0.0/16", 1, 0)
        self.send(3, IP(src=SITE[3], dst="10.77.0.1") / UDP() / b"x")
        self.gone(no_route=1)
        self.route("10.1.0.0/24", PORTS, 0, E_MALFORMED)
        self.route("10.1.0.0/24", 0, 256, E_MALFORMED)
        self.dp.fib(ROUTES, routes(("10.5.0.0/16", 0, 256)), E_MALFORMED)
        self.dp.fib(TUNNEL_SET, tunnel(5, "t5", table=256), E_MALFORMED)

    def test_on_the_way(self):
        """Blackholes, the way back, a tunnel that cannot send, the last hop, a narrower tunnel."""
        self.route("10.66.0.0/16", BLACKHOLE, 1)
        self.send(0, IP(src=SITE[0], dst="10.66.0.1") / UDP() / b"x")
        self.gone(blackhole=1)
        self.send(0, IP(src=SITE[0], dst=SITE[0]) / UDP() / b"x")
        self.gone(hairpin=1)
        self.send(0, IP(src=SITE[0], dst=SITE[1], ttl=1) / UDP(sport=5, dport=6) / b"x")
        t, p = self.out()
        self.assertEqual((t, p.dst, p[ICMP].type), (0, SITE[0], 11))
        self.gone(ttl_expired=1)
        self.send(0, IPv6(src=SITE6[0], dst=SITE6[1], hlim=1) / UDP(sport=5, dport=6) / b"x")
        t, p = self.out()
        self.assertEqual((t, p.dst), (0, SITE6[0]))
        self.assertIn(ICMPv6TimeExceeded, p)
        self.gone(ttl_expired=1)
        self.dp.fib(TUNNEL_SET, tunnel(1, "t1", mtu=900, table=1))
        big = UDP(sport=5, dport=6) / Raw(bytes(1000))
        self.send(0, IP(src=SITE[0], dst=SITE[1], flags="DF") / big)
        t, p = self.out()
        self.assertEqual((t, p.dst, p[ICMP].type, p[ICMP].code, p[ICMP].nexthopmtu), (0, SITE[0], 3, 4, 900))
        self.gone(too_big_for_tunnel=1)
        self.send(0, IP(src=SITE[0], dst=SITE[1]) / big)
        pieces = [self.out(), self.out()]
        self.assertEqual([t for t, _ in pieces], [1, 1])
        self.dp.sa(SA_DEL_OUT, ref(1, 1))
        self.send(0, IP(src=SITE[0], dst=SITE[1]) / UDP() / b"x")
        self.gone(no_tunnel=1)


class Ports(Tables):
    """The hosts' port is in a table of its own: a domain's, for both ways."""
    text = config() + "routing: {tables: [{name: one}, {name: two}]}\n"
    text = text.replace("addresses: [10.1.0.1/24", "route_table: one\n    addresses: [10.1.0.1/24")

    test_domains = test_on_the_way = None

    def test_ports(self):
        dst = HOST
        for again in range(2):
            # Its own domain's tunnels reach its hosts; nobody else does.
            self.send(0, IP(src=SITE[0], dst=dst, ttl=9) / UDP(sport=7, dport=8) / b"in")
            p = IP(self.site.lan.recv())
            self.assertEqual((p.src, p.dst, p.ttl, p[Raw].load), (SITE[0], dst, 8, b"in"))
            self.send(2, IP(src=SITE[2], dst=dst) / UDP() / b"x")
            self.gone(no_route=1)
            # With a route to our own networks, too.
            for table in (1, 2):
                self.route("10.1.0.0/24", PORTS, table)
            dst = "10.1.0.10" if again == 0 else dst
        self.send(0, IPv6(src=SITE6[0], dst=HOST6, hlim=9) / UDP(sport=7, dport=8) / b"in")
        self.assertEqual(IPv6(self.site.lan.recv()).dst, HOST6)
        # Its hosts' packets take the domain's routes, and none of table 0.
        self.route(SITE[2] + "/32", 2, 0)
        self.site.lan.send(IP(src=HOST, dst=SITE[0]) / UDP() / b"x")
        self.assertEqual(self.out()[0], 0)
        self.route("10.88.0.0/16", 2, 0)
        self.site.lan.send(IP(src=HOST, dst="10.88.0.1") / UDP() / b"x")
        self.gone(not_protected=1)
        # Table 0 leads nowhere near, by a route to our own networks neither.
        self.dp.fib(TUNNEL_SET, tunnel(3, "t3", table=0))
        self.send(3, IP(src=SITE[3], dst=HOST) / UDP() / b"x")
        self.gone(no_route=1)
        self.route("10.1.0.0/24", PORTS, 0)
        self.send(3, IP(src=SITE[3], dst=HOST) / UDP() / b"x")
        self.gone(no_route=1)
        # Between ports nothing is forwarded; our own addresses answer.
        self.route("192.0.2.0/24", PORTS, 1)
        self.site.lan.send(IP(src=HOST, dst="192.0.2.77") / UDP() / b"x")
        self.gone(not_protected=1)
        for own in ("10.1.0.1", LOCAL):
            self.site.lan.send(IP(src=HOST, dst=own) / ICMP(seq=5))
            self.assertEqual(IP(self.site.lan.recv())[ICMP].type, 0)
        # What we say of a packet finds its way back.
        self.site.lan.send(IP(src=HOST, dst=SITE[0], flags="DF") / UDP(sport=1) / bytes(1460))
        self.assertEqual(IP(self.site.lan.recv())[ICMP].code, 4)
        # Linux's own packets by its mirror take its table, too.
        sh("ip", "route", "add", SITE[0] + "/32", "dev", "lan", "via", HOST, ns="gw")
        sh("ping", "-c1", "-W1", SITE[0], ns="gw", check=False)
        self.assertEqual(self.out()[0], 0)


if __name__ == "__main__":
    dplab.main()
