#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BGP and BFD through an encrypted tunnel: twinbored with BGP in its configuration, and at the other end BIRD or FRR, over
strongSwan, or over the inside interface of a second twinbored, in our own speaker's place. Nothing may be seen in
clear outside.

usage: bgp_tunnel.py [strongswan|twinbore]:[bird|frr]..."""

import functools
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, cut, heal, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.strongswan import PSK, StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import Twinbore  # noqa: E402

import plays  # noqa: E402
from bgp_bird import Bird  # noqa: E402
from bgp_frr import Frr  # noqa: E402
from bgp_peer import more  # noqa: E402

TUNNEL = "site-b-1"
OUR_AS, THEIR_AS = 65001, 4200000002
OURS, THEIRS = "169.254.10.1", "169.254.10.2"
OURS_6, THEIRS_6 = "fd00:1::1", "fd00:1::2"
ANY = ["0.0.0.0/0", "::/0"]
PASSWORD = "planted-secret"
MORE = more(300)  # prefixes that lead nowhere
LIMIT = 200


class Inside:
    """A peer at the end of a tunnel: BGP with a password and TTL security, BFD."""

    def __init__(self, world, site, over):
        self.site, self.interface, self.bfd_ms = site, over.INTERFACE, over.BFD_MS
        super().__init__(world, site.gw, type("Spec", (), {"ours": OURS, "theirs": THEIRS, "their_as": THEIR_AS}))


class InsideBird(Inside, Bird):
    def start(self):
        self.daemon(f"""
router id {THEIRS};
log "{self.dir}/log" all;
protocol device {{ scan time 1; }}
protocol static s4 {{ ipv4; route {self.site.networks[0]} unreachable; {' '.join(f'route {p} unreachable;' for p in MORE)} }}
protocol static s6 {{ ipv6; route {self.site.networks[1]} unreachable; }}
protocol kernel k4 {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol kernel k6 {{ ipv6 {{ export where source = RTS_BGP; }}; }}
protocol bfd {{ interface "{self.interface}" {{ min rx interval {self.bfd_ms} ms; min tx interval {self.bfd_ms} ms; multiplier 3; }}; }}
protocol bgp peer {{
    local {THEIRS} as {THEIR_AS}; neighbor {OURS} as {OUR_AS}; password "{PASSWORD}"; ttl security on; bfd on;
    connect retry time 1; connect delay time 1; error wait time 1,2;
    ipv4 {{ import all; export where source = RTS_STATIC; }};
    ipv6 {{ import all; export where source = RTS_STATIC; next hop address {THEIRS_6}; }};
}}
""")

    def say_again(self):
        self.ask("reload", "out", "peer")


class InsideFrr(Inside, Frr):
    def start(self):
        n = f" neighbor {OURS}"
        bgp = [f"router bgp {THEIR_AS}", f" bgp router-id {THEIRS}", " no bgp ebgp-requires-policy",
               " no bgp default ipv4-unicast", " no bgp network import-check", f"{n} remote-as {OUR_AS}", f"{n} timers 3 9", f"{n} timers connect 1",
               f"{n} advertisement-interval 0", f"{n} password {PASSWORD}", f"{n} ttl-security hops 1",
               f"{n} bfd 3 {self.bfd_ms} {self.bfd_ms}"]
        for family, network in zip("46", self.site.networks):
            bgp += [f" address-family ipv{family} unicast", f" {n} activate", f"  network {network}",
                    *(f"  network {p}" for p in (MORE if family == "4" else ())), " exit-address-family"]
        self.daemons({"zebra": [], "bfdd": ["bfd", f" peer {OURS} interface {self.interface}", "  detect-multiplier 3",
                                            f"  receive-interval {self.bfd_ms}", f"  transmit-interval {self.bfd_ms}", " exit", "exit"],
                      "bgpd": ["debug bgp neighbor-events"] + bgp + ["exit"]})

    def say_again(self):
        self.ask(f"clear bgp ipv4 unicast {OURS} soft out")


class OverStrongSwan(StrongSwan):
    """A kernel router, whose tunnel is strongSwan's userspace ESP."""

    SIDE = Side(kernel=True)
    INTERFACE = "ipsec0"
    BFD_MS = 500

    def __init__(self, site, peer):
        super().__init__(site, peer)
        self.child["local_ts"] = self.child["remote_ts"] = ",".join(ANY)
        # Which prefixes go into the tunnel is BGP's business: strongSwan's own route, for everything, comes after all others.
        self.options.update(routing_table="99", routing_table_prio="40000")

    def prepare(self):
        # Before the tunnel is up: what comes for an address that is not there yet would be passed on, in clear.
        until(f"strongSwan's {self.INTERFACE}", lambda: self.ns.has(self.INTERFACE))
        self.ns.address(self.INTERFACE, f"{THEIRS}/30", f"{THEIRS_6}/126")

    def kernel_talks(self, _host):
        pass  # it is the kernel that forwards


class OverTwinbore(Twinbore):
    """A gateway without BGP of its own: everything is routed into the connection, and another daemon speaks for it
    over the inside interface."""

    SIDE = None
    INTERFACE = "tb-a-1"
    BFD_MS = 500

    def __init__(self, site, peer):
        super().__init__(site)
        self.config["gateway"]["log"]["level"] = "info"
        c = self.connect(peer, PSK, [(site.outside[0], peer.public[0])], startup="add", **ALGORITHMS)
        c["local_networks"] = c["remote_networks"] = ANY
        c["tunnels"][0]["inside_addresses"] = [f"{THEIRS}/30", f"{THEIRS_6}/126"]

    def prepare(self):
        until(f"the interface {self.INTERFACE}", lambda: self.ns.has(self.INTERFACE))

    def wait_up(self):
        super().wait_up("site-a-1")

    def rekey(self, what):
        super().rekey("site-a-1", what)

    def kernel_talks(self, host):
        """What the daemon heard is in the kernel's table, and serves what the kernel itself sends."""
        shown = until("the route", lambda: self.ns.ip(f"route show {self.site_network(host)}"))
        if self.INTERFACE not in shown:
            raise LabError(shown)
        until("an answer to the gateway itself", lambda: ping(self.ns, self.site.lan[0].split("/")[0], host), 10)

    @staticmethod
    def site_network(host):
        return host.rsplit(".", 1)[0] + ".0/24"


ALGORITHMS = {"ike": {"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
              "esp": {"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]}}


class Stage(plays.Stage):
    """Twinbore at site a; at site b a gateway and another daemon."""

    def __init__(self, world, kind, over):
        super().__init__(world)
        self.kind = kind
        self.sites = two_sites(world, None, over.SIDE)
        self.tb, self.other = Twinbore(self.sites.a), over(self.sites.b, self.sites.a)
        self.configure()

    def configure(self):
        a, b = self.sites.a, self.sites.b
        secret = self.tb.dir / "bgp.password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        self.tb.config["bgp"] = {"local_as": OUR_AS}
        self.tb.config["routing"] = {"local_networks": list(a.networks)}
        self.tb.config["gateway"]["log"]["level"] = "info"
        c = self.tb.connect(b, PSK, [(a.outside[0], b.public[0])], startup="start", **ALGORITHMS)
        c["local_networks"] = c["remote_networks"] = ANY
        c["defaults"]["bgp"] = {"remote_as": THEIR_AS, "hold_time": "9s", "connect_retry": "1s",
                                "password_file": str(secret), "ttl_security": True}
        c["defaults"]["bfd"] = {"interval": f"{self.other.BFD_MS}ms"}
        c["tunnels"][0]["inside_addresses"] = [f"{OURS}/30", f"{OURS_6}/126"]

    def lines(self):
        return self.tb.log.splitlines() if self.tb.process else []

    def routes(self):
        return {r["prefix"]: r for r in self.tb.call("show.routes")["routes"] if r["source"] == "bgp"}


def wait_session(t, n=1):
    until("our session", lambda: len(t.tb.events("bgp-up")) >= n, 30)
    until("theirs", t.peer.up, 30)


def talk(t):
    a, b = t.sites.a, t.sites.b
    for x, y in ((a, b), (b, a)):
        until(f"an answer from {y.host4}", lambda: ping(x.host, x.host4, y.host4), 10)
        until(f"an answer from {y.host6}", lambda: ping(x.host, x.host6, y.host6), 10)


def scene(t):
    a, b = t.sites.a, t.sites.b
    with wire.Guard(*t.sites.wires), t.other:
        t.other.prepare()
        with t.tb:
            rows(t, a, b)


class HostBird(Bird):
    """On the host of a site: one BFD session, with our inside address."""

    def __init__(self, world, site):
        self.site = site
        super().__init__(world, site.host, None)

    def start(self):
        self.daemon(f"""
router id 10.0.0.9; log "{self.dir}/log" all;
protocol device {{ scan time 1; }}
protocol bfd {{ multihop {{ min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }};
    neighbor {OURS} local {self.site.host4} multihop yes; }}
""")


def multihop(t, b):
    """The tunnel is watched up to a router behind the peer, and comes down with that alone."""
    bfd = t.tb.config["connections"][0]["defaults"]["bfd"]
    before = dict(bfd)
    bfd.update(multihop=True, neighbor=b.host4, interval="100ms", min_ttl=63)  # of BIRD's 64 their gateway takes one
    downs = len(t.tb.events("bfd-down"))
    t.tb.reload()
    far = HostBird(t.world, b)
    until("up", lambda: [s for s in t.tb.call("show.bfd")["sessions"] if s["state"] == "Up" and s["neighbor"] == b.host4], 20)
    far.end()
    until("down with it", lambda: len(t.tb.events("bfd-down")) > downs, 10)
    bfd.clear()
    bfd.update(before)
    n = len(t.tb.events("bgp-up"))
    t.tb.reload()
    wait_session(t, n + 1)


def rows(t, a, b):
    with t.row("the tunnel is up", vital=True):
        t.tb.wait_up(TUNNEL)
        t.other.wait_up()
    with t.row("a BGP session through it, with a password and TTL security", vital=True):
        t.peer = t.kind(t.world, b, t.other)
        wait_session(t)
    with t.row("prefixes of both families, both ways"):
        until("theirs with us", lambda: all(t.routes().get(n, {}).get("installed") for n in b.networks), 20)
        for n in a.networks:
            t.peer.wait_route(n)
    with t.row("traffic of both families follows them"):
        talk(t)
        t.other.kernel_talks(a.host4)
    with t.row("BFD is up"):
        until("ours", lambda: t.tb.events("bfd-up"), 20)
        until("theirs", t.peer.bfd_up, 20)
    with t.row("cut silently: BFD ends both sessions") as say:
        begun = time.monotonic()
        cut(t.sites.wan, b.public[0])
        until("ours", lambda: [e for e in t.tb.events("bgp-down") if "BFD" in e["text"]], 5)
        say(f"ours within {(time.monotonic() - begun) * 1000:.0f} ms")
        until("theirs", lambda: not t.peer.up(), 5)
        say(f"theirs within {(time.monotonic() - begun) * 1000:.0f} ms")
        until("their prefixes gone", lambda: not t.routes(), 5)
    with t.row("healed: everything comes back"):
        heal(t.sites.wan)
        wait_session(t, 2)
        until("theirs with us", lambda: set(b.networks) <= set(t.routes()), 20)
        for n in a.networks:
            t.peer.wait_route(n)
        talk(t)
    with t.row("rekeys from both sides: sessions and traffic stay") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        ended = len(t.tb.events("bgp-down"))
        for what in ("child", "ike"):
            t.tb.rekey(TUNNEL, what)
            before = t.tb.ids(TUNNEL, what)
            t.other.rekey(what)
            t.tb.wait_rekeyed(TUNNEL, what, before)
        report = stream.stop()
        say(str(report))
        ended = len(t.tb.events("bgp-down")) - ended
        if report.lost or ended:
            raise LabError(f"{report}, {ended} sessions ended")
    if t.kind is InsideBird:
        with t.row("BFD with a host behind the peer, over two hops (RFC 5883)"):
            multihop(t, b)
    with t.row("more prefixes than we take: the peer hears why the session ends"):
        t.tb.config["connections"][0]["defaults"]["bgp"]["max_prefixes"] = LIMIT
        t.tb.reload()
        t.peer.say_again()
        until("the peer's word of it", lambda: re.search(t.kind.LIMIT_SEEN, t.peer.saw()), 10)
        until("their prefixes gone", lambda: not t.routes(), 5)
    with t.row("we stop: the peer sees the end of the session"):
        t.tb.stop()
        until("theirs", lambda: not t.peer.up(), 10)


KINDS = {"bird": InsideBird, "frr": InsideFrr}
OVER = {"strongswan": OverStrongSwan, "twinbore": OverTwinbore}
DEFAULT = (("strongswan", "bird"), ("strongswan", "frr"))


def main():
    names = sys.argv[1:] or [f"{o}:{k}" for o in OVER for k in KINDS if os.environ.get("TWINBORE_FULL") or (o, k) in DEFAULT]
    need("ip", "nft", "ethtool", "tcpdump", "ping", "charon-systemd", "swanctl", *Bird.NEEDS, *Frr.NEEDS)
    table = []
    for n in names:
        over, kind = n.split(":")
        table.append((f"{kind:<4} over {over:<10}", "bgp-tunnel", functools.partial(Stage, kind=KINDS[kind], over=OVER[over]), scene))
    return plays.run(Tap(), table, 1)


if __name__ == "__main__":
    sys.exit(main())
