#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BGP and BFD through an encrypted tunnel: twinbored with BGP in its configuration, and at the other end strongSwan with
BIRD or FRR. Nothing may be seen in clear outside.

usage: bgp_tunnel.py [bird|frr...]"""

import functools
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
from bgp_peers import Bird, Frr  # noqa: E402

TUNNEL = "site-b-1"
OUR_AS, THEIR_AS = 65001, 4200000002
OURS, THEIRS = "169.254.10.1", "169.254.10.2"
OURS_6, THEIRS_6 = "fd00:1::1", "fd00:1::2"
ANY = ["0.0.0.0/0", "::/0"]
INSIDE = "ipsec0"  # of strongSwan's userspace ESP
PASSWORD = "planted-secret"
BFD_MS = 50


class Inside:
    """A peer behind strongSwan, instead of a link: BGP with a password and TTL security, BFD."""

    def __init__(self, world, site):
        self.site = site
        super().__init__(world, site.gw, type("Spec", (), {"ours": OURS, "theirs": THEIRS, "their_as": THEIR_AS}))


class InsideBird(Inside, Bird):
    def start(self):
        self.daemon(f"""
router id {THEIRS};
log "{self.dir}/log" all;
protocol device {{ scan time 1; }}
protocol direct {{ ipv4; ipv6; interface "eth1"; }}
protocol kernel k4 {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol kernel k6 {{ ipv6 {{ export where source = RTS_BGP; }}; }}
protocol bfd {{ interface "{INSIDE}" {{ min rx interval {BFD_MS} ms; min tx interval {BFD_MS} ms; multiplier 3; }}; }}
protocol bgp peer {{
    local {THEIRS} as {THEIR_AS}; neighbor {OURS} as {OUR_AS}; password "{PASSWORD}"; ttl security on; bfd on;
    connect retry time 1; connect delay time 1; error wait time 1,2;
    ipv4 {{ import all; export where source = RTS_DEVICE; }};
    ipv6 {{ import all; export where source = RTS_DEVICE; next hop address {THEIRS_6}; }};
}}
""")


class InsideFrr(Inside, Frr):
    def start(self):
        n = f" neighbor {OURS}"
        bgp = [f"router bgp {THEIR_AS}", f" bgp router-id {THEIRS}", " no bgp ebgp-requires-policy",
               " no bgp default ipv4-unicast", f"{n} remote-as {OUR_AS}", f"{n} timers 3 9", f"{n} timers connect 1",
               f"{n} advertisement-interval 0", f"{n} password {PASSWORD}", f"{n} ttl-security hops 1",
               f"{n} bfd 3 {BFD_MS} {BFD_MS}"]
        for family, network in zip("46", self.site.networks):
            bgp += [f" address-family ipv{family} unicast", f" {n} activate", f"  network {network}", " exit-address-family"]
        self.daemons({"zebra": [], "bfdd": ["bfd", f" peer {OURS} interface {INSIDE}", "  detect-multiplier 3",
                                            f"  receive-interval {BFD_MS}", f"  transmit-interval {BFD_MS}", " exit", "exit"],
                      "bgpd": ["debug bgp neighbor-events"] + bgp + ["exit"]})


class Stage(plays.Stage):
    """Twinbore at site a, strongSwan at site b."""

    def __init__(self, world, kind):
        super().__init__(world)
        self.kind = kind
        self.sites = two_sites(world, None, Side(kernel=True))
        self.tb, self.ss = Twinbore(self.sites.a), StrongSwan(self.sites.b, self.sites.a)
        self.configure()

    def configure(self):
        a, b = self.sites.a, self.sites.b
        secret = self.tb.dir / "bgp.password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        self.tb.config["bgp"] = {"local_as": OUR_AS}
        self.tb.config["routing"] = {"local_networks": list(a.networks)}
        self.tb.config["gateway"]["log"]["level"] = "info"
        c = self.tb.connect(b, PSK, [(a.outside[0], b.public[0])], startup="start",
                            ike={"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
                            esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]})
        c["local_networks"] = c["remote_networks"] = ANY
        c["defaults"]["bgp"] = {"remote_as": THEIR_AS, "hold_time": "9s", "connect_retry": "1s",
                                "password_file": str(secret), "ttl_security": True}
        c["defaults"]["bfd"] = {"interval": f"{BFD_MS}ms"}
        c["tunnels"][0]["inside_addresses"] = [f"{OURS}/30", f"{OURS_6}/126"]
        self.ss.child["local_ts"] = self.ss.child["remote_ts"] = ",".join(ANY)
        # Which prefixes go into the tunnel is BGP's business: strongSwan's own route, for everything, comes after all others.
        self.ss.options.update(routing_table="99", routing_table_prio="40000")

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
    with wire.Guard(*t.sites.wires), t.ss:
        # Before the tunnel is up: what comes for an address that is not there yet would be passed on, in clear.
        until(f"strongSwan's {INSIDE}", lambda: b.gw.has(INSIDE))
        b.gw.address(INSIDE, f"{THEIRS}/30", f"{THEIRS_6}/126")
        with t.tb:
            rows(t, a, b)


def rows(t, a, b):
    with t.row("the tunnel is up", vital=True):
        t.tb.wait_up(TUNNEL)
        t.ss.wait_up()
    with t.row("a BGP session through it, with a password and TTL security", vital=True):
        t.peer = t.kind(t.world, b)
        wait_session(t)
    with t.row("prefixes of both families, both ways"):
        until("theirs with us", lambda: all(t.routes().get(n, {}).get("installed") for n in b.networks), 20)
        for n in a.networks:
            t.peer.wait_route(n)
    with t.row("traffic of both families follows them"):
        talk(t)
    with t.row("BFD is up"):
        until("ours", lambda: t.tb.events("bfd-up"), 20)
        until("theirs", t.peer.bfd_up, 20)
    with t.row("cut silently: BFD ends both sessions") as say:
        begun = time.monotonic()
        cut(t.sites.wan, b.public[0])
        until("ours", lambda: t.tb.events("bgp-down"), 5)
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
        for what in ("child", "ike"):
            t.tb.rekey(TUNNEL, what)
            before = t.tb.ids(TUNNEL, what)
            t.ss.rekey(what)
            t.tb.wait_rekeyed(TUNNEL, what, before)
        report = stream.stop()
        say(str(report))
        if report.lost or len(t.tb.events("bgp-down")) != 1:
            raise LabError(f"{report}, {len(t.tb.events('bgp-down'))} sessions ended")
    with t.row("we stop: the peer sees the end of the session"):
        t.tb.stop()
        until("theirs", lambda: not t.peer.up(), 10)


KINDS = {"bird": InsideBird, "frr": InsideFrr}


def main():
    names = sys.argv[1:] or list(KINDS)
    need("ip", "nft", "ethtool", "tcpdump", "ping", "charon-systemd", "swanctl", *Bird.NEEDS, *Frr.NEEDS)
    return plays.run(Tap(), [(f"strongSwan and {n:<5}", "bgp-tunnel", functools.partial(Stage, kind=KINDS[n]), scene)
                             for n in names], 1)


if __name__ == "__main__":
    sys.exit(main())
