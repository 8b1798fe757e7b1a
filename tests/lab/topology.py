# SPDX-License-Identifier: Apache-2.0
"""topology: two sites, each a host behind a gateway, joined by a WAN router.

    host-a -- gw-a -- [nat-a] -- wan -- [nat-b] -- gw-b -- host-b

Outside addresses are 192.0.2.x for site a and 198.51.100.x for site b, two each, so that two
tunnels can take paths that are cut apart. A NAT in front of a gateway owns the public address;
`forwarded` makes it let the peer begin.
"""

import socket
from dataclasses import dataclass, field

from .net import Namespace, link, nat, silent


@dataclass
class Side:
    """What stands at one site. `kernel`: Linux owns the gateway's interfaces (strongSwan); else a
    dataplane takes them over."""

    kernel: bool = False
    nat: bool = False
    forwarded: bool = False


@dataclass
class Site:
    letter: str
    number: int
    side: Side
    host: Namespace
    gw: Namespace
    outside: list  # the gateway's own outside addresses
    public: list   # as the peer sees them
    outside_len: int
    outside_gateway: str
    wan: Namespace
    wan_if: str    # the WAN router's interface towards this site
    natbox: Namespace = None
    networks: list = field(default_factory=list)

    @property
    def name(self):
        return f"site-{self.letter}"

    @property
    def identity(self):
        return f"gw-{self.letter}.example.net"

    @property
    def lan(self):
        return [f"10.{self.number}.0.1/24", f"2001:db8:{self.number}::1/64"]

    @property
    def host4(self):
        return f"10.{self.number}.0.10"

    @property
    def host6(self):
        return f"2001:db8:{self.number}::10"

    @property
    def wire(self):
        return self.wan, self.wan_if


@dataclass
class Sites:
    a: Site
    b: Site
    wan: Namespace

    @property
    def wires(self):
        return [self.a.wire, self.b.wire]

    @property
    def inner(self):
        """Pairs of inner addresses, for wire.judge()."""
        a, b = self.a, self.b
        return [(socket.inet_aton(a.host4), socket.inet_aton(b.host4)),
                (socket.inet_pton(socket.AF_INET6, a.host6), socket.inet_pton(socket.AF_INET6, b.host6))]


def _router(world):
    wan = Namespace(world, "wan", forward=True)
    silent(wan)
    return wan


def two_sites(world, a=None, b=None, mtu=1500):
    wan = _router(world)
    return Sites(_site(world, wan, "a", 1, "192.0.2", a or Side(), mtu),
                 _site(world, wan, "b", 2, "198.51.100", b or Side(), mtu), wan)


def three_sites(world):
    """a, b and c in a list, each with addresses of its own on the WAN."""
    wan = _router(world)
    nets = (("a", "192.0.2"), ("b", "198.51.100"), ("c", "203.0.113"))
    return [_site(world, wan, letter, n, net, Side(), 1500) for n, (letter, net) in enumerate(nets, 1)]


def three_alike(world):
    """a, b and c in a list, whose networks are all the same one; b's gateway is Linux's."""
    wan = _router(world)
    nets = (("a", "192.0.2"), ("b", "198.51.100"), ("c", "203.0.113"))
    return [_site(world, wan, letter, 2, net, Side(kernel=letter == "b"), 1500) for letter, net in nets]


def _site(world, wan, letter, number, net, side, mtu):
    host = Namespace(world, f"host-{letter}")
    gw = Namespace(world, f"gw-{letter}", forward=side.kernel)
    wan_if = f"to-{letter}"
    public = [f"{net}.1", f"{net}.2"]
    natbox = None
    if side.nat:
        natbox = Namespace(world, f"nat-{letter}", forward=True)
        private = f"10.99.{number}"
        outside, gateway = [f"{private}.2"], f"{private}.1"
        link(wan, wan_if, natbox, "out", mtu)
        link(natbox, "in", gw, "eth0", mtu)
        public = public[:1]
        natbox.address("out", f"{public[0]}/24")
        natbox.address("in", f"{gateway}/24")
        natbox.route("default", f"{net}.254")
        nat(natbox, "out", outside[0] if side.forwarded else None)
    else:
        outside, gateway = public, f"{net}.254"
        link(wan, wan_if, gw, "eth0", mtu)
    wan.address(wan_if, f"{net}.254/24")
    link(gw, "eth1", host, "eth0")
    site = Site(letter, number, side, host, gw, outside, public, 24, gateway, wan, wan_if, natbox,
                [f"10.{number}.0.0/24", f"2001:db8:{number}::/64"])
    if side.kernel:
        gw.address("eth0", *(f"{o}/24" for o in outside))
        gw.address("eth1", *site.lan)
        gw.route("default", gateway)
    host.address("eth0", f"{site.host4}/24", f"{site.host6}/64")
    host.route("default", f"10.{number}.0.1")
    host.route("default", f"2001:db8:{number}::1")
    return site
