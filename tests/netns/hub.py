#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gateway with two sites connected: CloudHub lets them reach each other, route tables keep them apart."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import three_sites  # noqa: E402
from lab.twinbore import Twinbore, new_psk  # noqa: E402

AS = {"a": 64512, "b": 65002, "c": 65003}
ANY = ["0.0.0.0/0", "::/0"]


def connect(hub, spoke, n):
    """One connection of two tunnels. `n`: its number, for inside addresses."""
    psk = new_psk()
    bgp = {"hold_time": "9s", "connect_retry": "1s"}
    us, them = hub.site, spoke.site
    ends = [(us.outside[0], them.public[i]) for i in range(2)]
    down = hub.connect(them, psk, ends, (ANY, ANY), startup="add", bgp={"remote_as": AS[them.letter], **bgp})
    up = spoke.connect(us, psk, [(t, o) for o, t in ends], (ANY, ANY), startup="start",
                       bgp={"remote_as": AS["a"], **bgp})
    for c, last in ((down, 1), (up, 2)):
        for i, t in enumerate(c["tunnels"]):
            t["inside_addresses"] = [f"169.254.{10 * n + i}.{last}/30", f"fd00:{n}:{i}::{last}/126"]
    return down


def gateways(sites):
    hub, *spokes = [Twinbore(s) for s in sites]
    for g in (hub, *spokes):
        g.config["bgp"] = {"local_as": AS[g.site.letter]}
        g.config["routing"] = {"local_networks": list(g.site.networks)}
        g.config["gateway"]["log"]["level"] = "info"
    hub.config["routing"]["role"] = "virtual-private-gateway"
    for n, s in enumerate(spokes, 1):
        connect(hub, s, n)
    return hub, spokes


def prefixes(gw, table=None):
    return {r["prefix"] for r in gw.call("show.routes", **({"table": table} if table else {}))["routes"]
            if r["installed"]}


def knows(gw, networks):
    return lambda: set(networks) <= prefixes(gw)


def two_ways(gw):
    """Each prefix came by both tunnels: what follows does not depend on which session was first."""
    return lambda: all(r["candidates"] == 2 for r in gw.call("show.routes")["routes"] if r["source"] == "bgp")


def reaches(x, y):
    return ping(x.host, x.host4, y.host4) and ping(x.host, x.host6, y.host6)


def cloudhub(tap, hub, b, c):
    with tap.case("each site hears of the hub's networks and of the other site's"):
        for g in (b, c):
            for t in g.config["connections"][0]["tunnels"]:
                g.wait_up(t["name"])
        until("b hears", knows(b, hub.site.networks + c.site.networks), 20)
        until("c hears", knows(c, hub.site.networks + b.site.networks), 20)
        for g in (hub, b, c):
            until(f"{g.site.name} has heard it by both tunnels", two_ways(g), 20)

    with tap.case("all three reach each other"):
        assert reaches(b.site, hub.site)
        assert reaches(c.site, hub.site)
        assert reaches(b.site, c.site)

    with tap.case("a tunnel of one site is taken down: the other site does not notice") as say, \
            Stream(b.site.host, b.site.host4, c.site.host, c.site.host4) as stream:
        until("the stream runs", lambda: True, 1)
        hub.down("site-c-1")
        hub.wait_active("site-c", "site-c-2")
        until("the stream goes on", lambda: ping(b.site.host, b.site.host4, c.site.host4, tries=1), 5)
        hub.up("site-c-1")
        hub.wait_active("site-c", "site-c-1")
        report = stream.stop()
        say(report)
        assert report.received > 0 and report.lost == 0, report


def domains(tap, hub, b, c):
    """The same hub as a transit gateway with a table for each site."""
    hub.config["routing"] = {
        "role": "transit-gateway", "local_networks": list(hub.site.networks),
        "tables": [{"name": "red"}, {"name": "blue", "blackholes": ["10.66.0.0/16"]}],
    }
    for connection, table in zip(hub.config["connections"], ("red", "blue")):
        connection["route_table"] = table
        connection["propagate_to"] = [table, "main"]
    hub.reload()
    with tap.case("two route domains do not reach each other, but the hub's networks"):
        until("b has lost c", lambda: not set(c.site.networks) & prefixes(b), 20)
        until("c has lost b", lambda: not set(b.site.networks) & prefixes(c), 20)
        until("b reaches the hub", lambda: reaches(b.site, hub.site), 10)
        assert reaches(c.site, hub.site)
        assert not ping(b.site.host, b.site.host4, c.site.host4, tries=2)

    with tap.case("packets that are sent nevertheless are dropped by name at the hub"):
        b.config["connections"][0]["static_routes"] = list(c.site.networks) + ["10.66.0.0/16"]
        c.config["connections"][0]["static_routes"] = ["10.66.0.0/16"]
        b.reload()
        c.reload()
        before = hub.counters()
        assert not ping(b.site.host, b.site.host4, c.site.host4, tries=2)
        assert not ping(c.site.host, c.site.host4, "10.66.0.1", tries=2)
        for what in ("route", "blackhole"):
            until(f"a counter of {what} grows",
                  lambda: any(what in k for k, v in hub.counters().items() if v > before.get(k, 0)))
        for g in (b, c):
            g.config["connections"][0]["static_routes"] = []
            g.reload()

    with tap.case("propagation is enabled: they reach each other"):
        for connection in hub.config["connections"]:
            connection["propagate_to"] = ["red", "blue", "main"]
        hub.reload()
        until("b hears of c", knows(b, c.site.networks), 20)
        until("c hears of b", knows(c, b.site.networks), 20)
        assert reaches(b.site, c.site)


def main():
    need("ip", "nft", "ethtool", "tcpdump", "ping")
    with World("hub") as world:
        tap = Tap(world)
        sites = three_sites(world)
        hub, (b, c) = gateways(sites)
        with wire.Guard(*(s.wire for s in sites)), hub, b, c:
            cloudhub(tap, hub, b, c)
            domains(tap, hub, b, c)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
