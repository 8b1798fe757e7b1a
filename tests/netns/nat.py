#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A NAT between the gateways: encapsulation, keepalives, a new mapping, rekeys behind it. Both would have a source
port for each flow, which nothing behind a NAT does."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import pair, wait_both_up  # noqa: E402


def rebind(sites):
    """The NAT forgets its mappings and gives new ports."""
    sites.a.natbox.nft("""table ip nat
        delete table ip nat
        table ip nat { chain post { type nat hook postrouting priority 100; policy accept;
            oifname "out" ip protocol udp masquerade to :20000-29999 random; }; }\n""")
    sites.a.natbox.run(["conntrack", "-F"])


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    t = p.names_a[0]
    with tap.case("the tunnel is up through the NAT, in UDP"), wire.Capture(*b.wire) as w:
        wait_both_up(p)
        assert ping(a.host, a.host4, b.host4) and ping(b.host, b.host6, a.host6)
        classes = wire.judge(w.stop().packets(), sites.inner)
        assert p.a.tunnel(t)["natt"] and p.b.tunnel(p.names_b[0])["natt"]
        assert classes["esp"] == 0, "native ESP behind a NAT"
        assert not any(s["udp_ports_vary"] for gw, name in ((p.a, t), (p.b, p.names_b[0])) for s in gw.sas(name, "child"))
        remote = p.b.tunnel(p.names_b[0])["remote"]
        assert remote.startswith(a.public[0] + ":"), remote

    with tap.case("keepalives hold the mapping while it is idle") as say, wire.Capture(*b.wire) as w:
        time.sleep(2.5)
        until("one of them", lambda: any(wire.classify(x.data)[0] == "keepalive" for x in w.packets()))
        classes = wire.judge(w.stop().packets(), sites.inner)
        say(f"{classes['keepalive']} keepalives in 2.5 s")
        assert classes["keepalive"] >= 1, classes

    with tap.case("rekeys from both sides lose nothing") as say, Stream(a.host, a.host4, b.host, b.host4) as stream:
        for gw, name in ((p.a, t), (p.b, p.names_b[0])):
            for what in ("child", "ike", "child"):
                gw.rekey(name, what)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report

    with tap.case("a new mapping: the peer follows authentic packets") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        time.sleep(0.3)
        before, ids = p.b.tunnel(p.names_b[0])["remote"], p.a.ids(t)
        rebind(sites)
        until("the peer follows", lambda: p.b.tunnel(p.names_b[0])["remote"] != before, 10)
        time.sleep(0.5)
        report = stream.stop()
        say(report)
        assert report.gap_ms < 4500, report  # DPD would not have noticed yet
        assert p.a.ids(t) == ids, "the SA was made anew"

    with tap.case("rekeys after the move") as say, Stream(a.host, a.host4, b.host, b.host4) as stream:
        p.b.rekey(p.names_b[0])
        p.b.rekey(p.names_b[0], "ike")
        p.a.rekey(t)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report


def with_mobike(tap, sites, p):
    """Nobody follows ESP then (RFC 4555 3.8): the initiator asks how it is seen, and says that it moved."""
    a, b = sites.a, sites.b
    t = p.names_a[0]
    with tap.case("MOBIKE: up through the NAT"):
        wait_both_up(p)
        assert ping(a.host, a.host4, b.host4)
    for what in (None, "ike"):
        with tap.case("MOBIKE: a new mapping" + (" after a rekey" if what else "")) as say, \
                Stream(a.host, a.host4, b.host, b.host4) as stream:
            if what:
                p.b.rekey(p.names_b[0], what)
            time.sleep(0.7)
            before, ids = p.b.tunnel(p.names_b[0])["remote"], p.a.ids(t)
            rebind(sites)
            until("the peer follows", lambda: p.b.tunnel(p.names_b[0])["remote"] != before, 10)
            time.sleep(0.5)
            report = stream.stop()
            say(report)
            assert report.gap_ms < 15000, report  # the peer is no dead one yet
            assert p.a.ids(t) == ids, "the SA was made anew"


def main():
    need("ip", "nft", "conntrack", "ethtool", "tcpdump", "ping")
    with World("nat") as world:
        tap = Tap(world)
        sites = two_sites(world, Side(nat=True), Side())
        p = pair(sites, nat_keepalive="1s", mobike=False, udp_encapsulation="force", udp_port_entropy=True,
                 dpd={"interval": "5s", "timeout": "20s", "action": "restart"})
        with wire.Guard(*sites.wires):
            with p.a, p.b:
                cases(tap, sites, p)
            for gw in (p.a, p.b):
                options = gw.config["connections"][0]["defaults"]
                options["mobike"], options["dpd"] = True, {"interval": "1s", "timeout": "20s", "action": "restart"}
            with p.a, p.b:
                with_mobike(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
