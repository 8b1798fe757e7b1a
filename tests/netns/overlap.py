#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two customers with one network, which is ours as well, reach one server at once: each host has a name of its own
at each end (`translate`). One customer is strongSwan with static routes, the other a gateway that speaks BGP."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.fetch import Server  # noqa: E402
from lab.stream import ping  # noqa: E402
from lab.strongswan import StrongSwan  # noqa: E402
from lab.topology import three_alike  # noqa: E402
from lab.twinbore import DRIVER, Twinbore, new_psk  # noqa: E402

ANY = ["0.0.0.0/0", "::/0"]
NETWORKS = ["10.2.0.0/24", "2001:db8:2::/64"]  # of all three
SERVER = ["10.99.0.0/24", "fd00:99::/64"]      # ours, at the customers
NAMES = {"b": ["100.64.0.0/24", "fd00:64::/64"], "c": ["100.65.0.0/24", "fd00:65::/64"]}  # theirs, at ours
SERVER4, SERVER6 = "10.99.0.10", "fd00:99::10"
HOST4 = {"b": "100.64.0.10", "c": "100.65.0.10"}
HOST6 = {"b": "fd00:64::10", "c": "fd00:65::10"}


def rules(letter):
    return [{"theirs": there, "as": here} for there, here in zip(NETWORKS, NAMES[letter])] + \
        [{"ours": here, "as": there} for here, there in zip(NETWORKS, SERVER)]


def build(a, b, c):
    hub = Twinbore(a)
    hub.config["bgp"] = {"local_as": 64512}
    hub.config["routing"] = {"local_networks": NETWORKS}
    hub.config["gateway"]["log"]["level"] = "info"
    psk = new_psk()
    k = hub.connect(b, psk, [(a.outside[0], b.public[0])], (SERVER, NETWORKS), startup="add",
                    ike={"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
                    esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]})
    k["translate"] = rules("b")
    customer = StrongSwan(b, a, psk)
    customer.child.update(local_ts=",".join(NETWORKS), remote_ts=",".join(SERVER))

    far = Twinbore(c)
    far.config["bgp"] = {"local_as": 65003}
    far.config["routing"] = {"local_networks": NETWORKS}
    far.config["gateway"]["log"]["level"] = "info"
    far.config["ports"][1]["mtu"] = 1300
    psk = new_psk()
    down = hub.connect(c, psk, [(a.outside[0], c.public[0])], (ANY, ANY), startup="add",
                       bgp={"remote_as": 65003, "hold_time": "9s", "connect_retry": "1s"})
    up = far.connect(a, psk, [(c.outside[0], a.public[0])], (ANY, ANY), startup="start",
                     bgp={"remote_as": 64512, "hold_time": "9s", "connect_retry": "1s"})
    down["translate"] = rules("c")
    down["filters"] = {"in": [{"permit": n} for n in NETWORKS]}
    up["filters"] = {"in": [{"permit": n} for n in SERVER]}
    for k, last in ((down, 1), (up, 2)):
        k["tunnels"][0]["inside_addresses"] = [f"169.254.30.{last}/30", f"fd00:30::{last}/126"]
    return hub, customer, far


def routes(gw):
    return {r["prefix"]: r.get("peer_prefix") for r in gw.call("show.routes")["routes"] if r["installed"]}


def reach(a, b, c):
    """Both customers at once, and the server both of them."""
    for site in (b, c):
        assert ping(site.host, site.host4, SERVER4), f"{site.name} has no answer"
        assert ping(site.host, site.host6, SERVER6), f"{site.name} has no answer over IPv6"
        assert ping(a.host, a.host4, HOST4[site.letter]), f"the server has no answer from {site.name}"
        assert ping(a.host, a.host6, HOST6[site.letter]), f"the server has no answer from {site.name} over IPv6"


def cases(tap, sites, hub, customer, far):
    a, b, c = sites
    with tap.case("routes have our names, and tell the peers'"):
        hub.wait_up("site-c-1")
        until("the hub hears of c's networks", lambda: set(NAMES["c"]) <= set(routes(hub)), 20)
        until("c hears of the server by its name there", lambda: set(SERVER) <= set(routes(far)), 20)
        shown = routes(hub)
        for letter in "bc":
            assert [shown.get(n) for n in NAMES[letter]] == NETWORKS, shown
        assert not {"10.2.0.0/24"} & set(routes(far)) - set(far.config["routing"]["local_networks"])
        told = {r["prefix"] for r in hub.call("show.bgp.advertised", tunnel="site-c-1")["routes"]}
        assert told == set(SERVER), told
        text = hub.cli("explain", "10.2.0.10", as_json=False, check=False).stdout
        assert "100.64.0.10" in text and "100.65.0.10" in text and SERVER4 in text, text

    with tap.case("two customers with the server's own network reach it, and it them"):
        reach(a, b, c)

    with tap.case("TCP from both, both ways, at once") as say:
        with Server(a.host, a.host4) as server:
            for site, to in ((b, SERVER4), (c, SERVER4)):
                got = server.fetch(site.host, 3_000_000, to=to)
                assert got.ok, (site.name, got)
        with Server(c.host, c.host6) as server:
            got = server.fetch(a.host, 3_000_000, to=HOST6["c"])
            assert got.ok, got
            say(f"{got.mbps:.0f} Mbit/s")

    with tap.case("what is too big: each sender learns it of the name that it uses"):
        # Here the gateway itself says it, of its tunnel.
        r = a.host.run(["ping", "-c", "2", "-i", "0.3", "-W", "10", "-s", "1472", "-M", "do", HOST4["b"]], check=False)
        assert r.returncode != 0 and "mtu" in r.stdout.lower() + r.stderr.lower(), r.stdout
        assert f"mtu {hub.tunnel('site-b-1')['mtu']}" in a.host.ip(f"route get {HOST4['b']}")
        # The customer's gateway, of its network behind the tunnel: an error that quotes the customer's names.
        for to, family in ((HOST4["c"], "-4"), (HOST6["c"], "-6")):
            a.host.run(["ping", family, "-c", "2", "-i", "0.3", "-W", "10", "-s", "1320", "-M", "do", to], check=False)
            route = a.host.ip(f"route get {to}")
            assert "mtu 1300" in route, route
        # And the other way round.
        r = b.host.run(["ping", "-c", "1", "-W", "10", "-t", "1", SERVER4], check=False)
        r = c.host.run(["ping", "-c", "2", "-i", "0.3", "-W", "10", "-t", "2", SERVER4], check=False)
        assert "exceeded" in r.stdout, r.stdout
        if DRIVER != "net_af_packet":  # it reassembles them
            r = b.host.run(["ping", "-c", "5", "-i", "0.2", "-W", "10", "-s", "4000", SERVER4], check=False)
            assert r.returncode == 0, r.stdout

    with tap.case("the counters tell of it"):
        for t in ("site-b-1", "site-c-1"):
            shown = hub.tunnel(t)
            assert shown["in_translated"] > 10 and shown["out_translated"] > 10, shown
        assert hub.counters()["dataplane.not-translatable-in"] == 0, hub.counters()

    with tap.case("a route process and a dataplane that die leave it as it was"):
        hub.kill_role("route")
        reach(a, b, c)
        hub.kill_role("dp")
        hub.wait_up("site-c-1")
        customer.terminate(check=False)
        customer.initiate()
        hub.wait_up("site-b-1")
        until("c's networks are back", lambda: set(NAMES["c"]) <= set(routes(hub)), 30)
        reach(a, b, c)

    with tap.case("a reload takes the other names away and gives them back; the SAs stay"):
        connection = hub.config["connections"][1]
        ids = hub.ids("site-c-1")
        rules_were = connection.pop("translate")
        assert hub.reload()["changed"] == ["site-c"]
        until("the names of c are gone", lambda: not set(NAMES["c"]) & set(routes(hub)), 20)
        assert not ping(a.host, a.host4, HOST4["c"], tries=2)
        assert ping(b.host, b.host4, SERVER4)
        connection["translate"] = rules_were
        assert hub.reload()["changed"] == ["site-c"]
        until("c's networks are back", lambda: set(NAMES["c"]) <= set(routes(hub)), 20)
        until("c knows the server again", lambda: set(SERVER) <= set(routes(far)), 20)
        reach(a, b, c)
        assert hub.ids("site-c-1") == ids


def main():
    need("ip", "ethtool", "tcpdump", "ping", "curl", "swanctl")
    with World("translate") as world:
        tap = Tap(world)
        sites = a, b, c = three_alike(world)
        hub, customer, far = build(a, b, c)
        with wire.Guard(*(s.wire for s in sites)), customer, hub, far:
            customer.load()
            customer.initiate()
            hub.wait_up("site-b-1")
            time.sleep(0.2)
            cases(tap, sites, hub, customer, far)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
