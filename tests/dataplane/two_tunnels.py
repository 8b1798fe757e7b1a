# SPDX-License-Identifier: Apache-2.0
"""A gateway with two tunnels to one peer, and that peer's side of their SAs."""

from dplab import *
from scapy.all import ESP, IP, SecurityAssociation

ANY = (("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"))


def key(n):
    return bytes([n]) * 36


def spi_in(slot):
    return 0x00700000 | slot


def spi_out(slot):
    return 0x50000000 | slot


class TwoTunnels(unittest.TestCase):
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
