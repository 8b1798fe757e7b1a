#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Routes between Linux's tables and two gateways: one writes its own there, where BIRD sees them; the other one forwards
by what BIRD has written."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until  # noqa: E402
from lab.stream import ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import Twinbore, new_psk  # noqa: E402

ANY = ["0.0.0.0/0", "::/0"]
TABLE = 100


class Bird:
    """Its static routes go into Linux's main table; what stands in our table it learns."""

    def __init__(self, world, ns, networks, interface):
        self.world, self.ns, self.interface = world, ns, interface
        self.dir = world.dir / "bird"
        self.dir.mkdir()
        self.networks = networks
        self.process = None

    def write(self, interface):
        def static(n, family, network):
            return f'protocol static s{n} {{ ipv{family}; route {network} via "{interface}"; }}'
        (self.dir / "bird.conf").write_text(f"""router id 10.0.0.1;
log "{self.dir}/log" all;
ipv4 table seen4; ipv6 table seen6;
protocol device {{ scan time 1; }}
{static(1, 4, self.networks[0])}
{static(2, 6, self.networks[1])}
protocol kernel {{ ipv4 {{ export all; }}; scan time 2; }}
protocol kernel {{ ipv6 {{ export all; }}; scan time 2; }}
protocol kernel {{ kernel table {TABLE}; learn; ipv4 {{ table seen4; export none; }}; scan time 2; }}
protocol kernel {{ kernel table {TABLE}; learn; ipv6 {{ table seen6; export none; }}; scan time 2; }}
""")

    def start(self):
        self.write(self.interface)
        self.process = self.world.spawn(["bird", "-f", "-c", self.dir / "bird.conf", "-s", self.dir / "ctl"], self.ns)
        until("BIRD", lambda: (self.dir / "ctl").exists())

    def ask(self, *words):
        return self.ns.run(["birdc", "-s", self.dir / "ctl", *words]).stdout

    def turn_to(self, interface):
        self.write(interface)
        self.ask("configure")


def gateways(sites):
    a, b = Twinbore(sites.a), Twinbore(sites.b)
    psk = new_psk()
    ends = [(sites.a.outside[i], sites.b.public[i]) for i in range(2)]
    there = a.connect(sites.b, psk, ends, (ANY, ANY), startup="start")
    back = b.connect(sites.a, psk, [(t, o) for o, t in ends], (ANY, ANY), startup="add")
    for c, last, letter in ((there, 1, "b"), (back, 2, "a")):
        for i, t in enumerate(c["tunnels"]):
            t["inside_addresses"] = [f"169.254.{10 + i}.{last}/30", f"fd00:{i}::{last}/126"]
            t["interface"] = f"tb-{letter}-{i + 1}"
    there["static_routes"] = list(sites.b.networks)
    a.config["routing"] = {"local_networks": list(sites.a.networks), "linux_routes": {"table": TABLE}}
    back["linux_import"] = True
    b.config["routing"] = {"local_networks": list(sites.b.networks), "linux_routes": {"table": TABLE},
                           "linux_import": {"protocols": ["bird"]}}
    for g in (a, b):
        g.config["gateway"]["log"]["level"] = "info"
    return a, b


def routes(gw):
    return {r["prefix"]: r for r in gw.call("show.routes")["routes"] if r["installed"] and r["source"] != "local"}


def shown(ns, family=4, table=TABLE):
    out = ns.run(["ip", f"-{family}", "route", "show", "table", str(table)], check=False).stdout
    return "" if "does not exist" in out else out


def reaches(x, y):
    return ping(x.host, x.host4, y.host4) and ping(x.host, x.host6, y.host6)


def cases(tap, world, sites):
    a, b = gateways(sites)
    bird = Bird(world, sites.b.gw, sites.a.networks, "tb-a-1")
    with a, b:
        for g, site in ((a, "site-b"), (b, "site-a")):
            for i in (1, 2):
                g.wait_up(f"{site}-{i}")
        with tap.case("our routes stand in Linux's table, and move with their traffic"):
            until("both families", lambda: "dev tb-b-1" in shown(sites.a.gw) and "dev tb-b-1" in shown(sites.a.gw, 6))
            a.down("site-b-1")
            until("the other tunnel", lambda: "dev tb-b-2" in shown(sites.a.gw) and "dev tb-b-2" in shown(sites.a.gw, 6))
            a.up("site-b-1")
            a.wait_active("site-b", "site-b-1")
            until("the first again", lambda: "dev tb-b-1" in shown(sites.a.gw))
        with tap.case("without BIRD's routes there is no way back"):
            assert not routes(b), routes(b)
            assert not ping(sites.a.host, sites.a.host4, sites.b.host4, tries=1)
        with tap.case("what BIRD writes is forwarded by, and not written once more"):
            bird.start()
            until("both prefixes", lambda: set(sites.a.networks) <= set(routes(b)))
            assert all(r["source"] == "linux" and r["tunnel"] == "site-a-1" for r in routes(b).values()), routes(b)
            until("the hosts reach each other", lambda: reaches(sites.a, sites.b) and reaches(sites.b, sites.a))
            assert not shown(sites.b.gw), shown(sites.b.gw)
        with tap.case("BIRD takes the other tunnel"):
            bird.turn_to("tb-a-2")
            until("we do, too", lambda: all(r["tunnel"] == "site-a-2" and r["candidates"] == 1 for r in routes(b).values()), 10)
            assert reaches(sites.b, sites.a)
        with tap.case("another program's routes are nothing to us; of the same metric and ours in turn"):
            sites.b.gw.ip("route add 10.99.0.0/24 dev tb-a-1 proto static")
            sites.b.gw.ip("route add 10.98.0.0/24 dev tb-a-1 proto bird metric 7")
            until("BIRD's", lambda: "10.98.0.0/24" in routes(b))
            assert "10.99.0.0/24" not in routes(b)
            sites.b.gw.ip("route replace 10.98.0.0/24 dev tb-a-2 proto bird metric 7")
            until("its new way", lambda: routes(b).get("10.98.0.0/24", {}).get("tunnel") == "site-a-2" and
                  routes(b)["10.98.0.0/24"]["candidates"] == 1)
            sites.b.gw.ip("route add 10.98.0.0/24 dev tb-a-1 proto bird metric 3")
            until("the better metric", lambda: routes(b)["10.98.0.0/24"]["tunnel"] == "site-a-1")
            sites.b.gw.ip("route del 10.98.0.0/24 metric 3")
            until("the other one", lambda: routes(b)["10.98.0.0/24"]["tunnel"] == "site-a-2")
            sites.b.gw.ip("route del 10.98.0.0/24 metric 7")
            until("gone", lambda: "10.98.0.0/24" not in routes(b))
        with tap.case("BIRD sees ours in our table"):
            b.config["connections"][0]["static_routes"] = ["10.77.0.0/16", "2001:db8:77::/48"]
            b.reload()
            until("IPv4", lambda: "10.77.0.0/16" in bird.ask("show", "route", "table", "seen4"))
            until("IPv6", lambda: "2001:db8:77::/48" in bird.ask("show", "route", "table", "seen6"))
            assert "tb-a-1" in bird.ask("show", "route", "table", "seen4")
        with tap.case("the route process dies: its successor learns the same, and traffic goes on"):
            b.kill_role("route")
            until("again", lambda: set(sites.a.networks) <= set(routes(b)), 20)
            assert reaches(sites.b, sites.a)
            until("ours are still there", lambda: "10.77.0.0/16" in shown(sites.b.gw))
        with tap.case("an interface goes down: what led over it goes"):
            sites.b.gw.ip("link set tb-a-2 down")
            until("gone", lambda: not set(sites.a.networks) & set(routes(b)), 10)
            sites.b.gw.ip("link set tb-a-2 up")
            until("and comes again", lambda: set(sites.a.networks) <= set(routes(b)), 15)
    with tap.case("at the end nothing of ours is left"):
        for site in (sites.a, sites.b):
            assert not shown(site.gw) and not shown(site.gw, 6) and not site.gw.ip("nexthop show")


def main():
    need("ip", "nft", "ethtool", "ping", "bird", "birdc")
    with World("linux-routes") as world:
        tap = Tap(world)
        cases(tap, world, two_sites(world))
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
