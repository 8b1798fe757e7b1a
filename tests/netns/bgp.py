#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BGP and BFD between two gateways: prefixes come and go, and traffic leaves a path that went silent."""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, cut, heal, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, wait_both_up  # noqa: E402

AS = {"a": 65001, "b": 4200000002}
ANY = ["0.0.0.0/0", "::/0"]
GAP_MS = 5500  # before DPD and the hold time could have noticed


def password(gw, text="a password of TCP MD5"):
    path = gw.dir / "bgp-password"
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return str(path)


def configure(p, sites, bfd):
    """Both ends speak BGP; what each announces is its own network."""
    for gw, me, peer in ((p.a, sites.a, sites.b), (p.b, sites.b, sites.a)):
        gw.config["bgp"] = {"local_as": AS[me.letter]}
        gw.config["routing"] = {"local_networks": list(me.networks)}
        c = gw.config["connections"][0]
        c["local_networks"] = c["remote_networks"] = ANY
        c["revert_hold"] = "500ms"
        c["defaults"]["bgp"] = {"remote_as": AS[peer.letter], "hold_time": "9s", "connect_retry": "1s"}
        if bfd:
            c["defaults"]["bfd"] = {"interval": "200ms", "multiplier": 8}  # a machine may stand still for a second
        for n, t in enumerate(c["tunnels"], 1):
            t["inside_addresses"].append(f"fd00:{n}::{me.number}/126")
        c["tunnels"][0]["bgp"] = {"password_file": password(gw), "ttl_security": True}
        gw.config["gateway"]["log"]["level"] = "info"


def routes(gw):
    return {r["prefix"]: r for r in gw.call("show.routes")["routes"] if r["source"] == "bgp"}


def has_routes(gw, networks):
    return lambda: set(networks) <= set(routes(gw)) and all(routes(gw)[n]["installed"] for n in networks)


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    first, second = p.names_a
    with tap.case("two sessions are up; each side has the other's prefixes, IPv4 and IPv6"):
        wait_both_up(p)
        until("a has b's prefixes", has_routes(p.a, b.networks), 20)
        until("b has a's prefixes", has_routes(p.b, a.networks), 20)
        until("four sessions", lambda: len(p.a.events("bgp-up")) == 2 and len(p.b.events("bgp-up")) == 2, 20)

    with tap.case("traffic follows"):
        p.a.wait_active("site-b", first)
        p.b.wait_active("site-a", p.names_b[0])
        assert ping(a.host, a.host4, b.host4)
        assert ping(a.host, a.host6, b.host6)

    with tap.case("BFD is up on both tunnels"):
        until("bfd up", lambda: len({e["tunnel"] for e in p.a.events("bfd-up")}) == 2, 10)
        until("bfd up", lambda: len({e["tunnel"] for e in p.b.events("bfd-up")}) == 2, 10)

    with tap.case("what operators are shown: neighbors, prefixes, BFD, how a route was chosen"):
        # Both ends connect at once, and the session that they agree on may be the second one.
        until("sessions stand", lambda: all(
            n["state"] == "Established" and n["ipv4"]["accepted"] and n["ipv6"]["accepted"] and
            n["ipv4"]["advertised"] and n["ipv6"]["advertised"] and not n["ipv4"]["stale"]
            for n in p.a.call("show.bgp")["neighbors"]), 20)
        neighbor = p.a.cli("show", "bgp", "neighbor", first)["neighbors"][0]
        assert (neighbor["state"], neighbor["remote_as"], neighbor["password"]) == (
            "Established", AS["b"], True), neighbor
        assert {r["prefix"] for r in p.a.cli("show", "bgp", "received", first)["routes"]} == set(b.networks)
        assert {r["prefix"] for r in p.a.cli("show", "bgp", "advertised", first)["routes"]} == set(a.networks)
        assert [s["state"] for s in p.a.cli("show", "bfd")["sessions"]] == ["Up", "Up"]
        table = p.a.cli("explain", b.host4)["tables"][0]
        assert table["route"]["tunnel"] == first and table["route"]["backups"] == [second], table
        assert [c["tunnel"] for c in table["choice"]] == [first, second], table
        assert p.a.cli("what-if", first, "down")["moves"] == [{"to": second, "prefixes": 2}]
        for words in (["bgp"], ["bgp", "neighbor", first], ["bfd"], ["routes"], ["tunnels"]):
            assert p.a.cli("show", *words, as_json=False).returncode == 0, words

    with tap.case("tunnel 1 drained and back: both ends move, nothing is lost, whoever dies meanwhile") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        def both_carry(n):
            for gw, peer, name in ((p.a, b, p.names_a[n]), (p.b, a, p.names_b[n])):
                # The drained one is better than none, until the other's neighbor has said what it has.
                until(f"{name} carries", lambda: set(peer.networks) <= set(routes(gw)) and
                      {routes(gw)[x]["tunnel"] for x in peer.networks} == {name}, 20)

        assert p.a.cli("tunnel", "drain", first) == {"version": 1, "moved": 2, "stays": 0}
        p.a.wait_active("site-b", second)
        both_carry(1)
        for roles in (("route",), ("route", "control")):
            p.a.kill_role(*roles)
            until("new processes know", lambda: [
                t["draining"] for t in p.a.call("show.tunnels")["tunnels"]] == [True, False], 20)
            both_carry(1)
        p.a.cli("tunnel", "undrain", first)
        p.a.wait_active("site-b", first)
        both_carry(0)
        p.a.kill_role("route")
        until("a has b's prefixes", has_routes(p.a, b.networks), 20)
        assert not any(t["draining"] for t in p.a.call("show.tunnels")["tunnels"])
        both_carry(0)
        time.sleep(0.3)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report

    with tap.case("tunnel 1 replaced under traffic: nothing is lost") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        before = {s["spi_i"] for s in p.a.call("show.sas")["sas"] if s["kind"] == "ike"}
        p.a.cli("tunnel", "replace", first)
        after = {s["spi_i"] for s in p.a.call("show.sas")["sas"] if s["kind"] == "ike"}
        assert len(before & after) == 1, (before, after)
        p.a.wait_active("site-b", first)
        p.b.wait_active("site-a", p.names_b[0])
        time.sleep(0.3)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report

    with tap.case("tunnel 1 cut silently: BFD moves the traffic") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        time.sleep(0.5)
        cut(sites.wan, b.public[0])
        p.a.wait_active("site-b", second, 6)
        p.b.wait_active("site-a", p.names_b[1], 6)
        time.sleep(0.5)
        report = stream.stop()
        say(report)
        assert 0 < report.lost and report.received > 0
        assert report.gap_ms <= GAP_MS, report

    with tap.case("the path returns: BFD, BGP and traffic come back without loss") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        heal(sites.wan)
        p.a.wait_active("site-b", first, 20)
        p.b.wait_active("site-a", p.names_b[0], 20)
        time.sleep(0.5)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report

    with tap.case("another password at one end: the session ends, and comes back with the right one"):
        password(p.b, "something else")
        p.b.reload()
        until("the session is down", lambda: p.b.events("bgp-down", p.names_b[0]), 10)
        n = len(p.a.events("bgp-up", first))
        time.sleep(2)
        assert len(p.a.events("bgp-up", first)) == n
        password(p.b)
        p.b.reload()
        until("the session is up", lambda: len(p.a.events("bgp-up", first)) > n, 20)

    for role in ("route", "ike"):
        with tap.case(f"{role} killed: nothing is lost, the sessions come back") as say, \
                Stream(a.host, a.host4, b.host, b.host4) as stream:
            n = len(p.b.events("bgp-up", p.names_b[0]))
            p.a.kill_role(role)
            if role == "route":
                until("the session is up", lambda: len(p.b.events("bgp-up", p.names_b[0])) > n, 20)
            until("a has b's prefixes", has_routes(p.a, b.networks), 20)
            report = stream.stop()
            say(report)
            assert report.lost == 0, report

    with tap.case("a prefix is taken back"):
        gone = p.b.config["routing"]["local_networks"].pop(0)
        p.b.reload()
        until("a has lost it", lambda: gone not in routes(p.a), 10)
        assert b.networks[1] in routes(p.a)

    with tap.case("one that goes while the route process is away is forgotten, too"):
        p.b.config["routing"]["local_networks"].insert(0, gone)
        p.b.reload()
        until("a has it again", has_routes(p.a, b.networks), 10)
        assert ping(a.host, a.host4, b.host4)
        os.kill(p.a.restarts()["route"][0], signal.SIGSTOP)
        p.b.config["routing"]["local_networks"].pop(0)
        p.b.reload()
        p.a.kill_role("route")
        until("a has the other prefix", has_routes(p.a, b.networks[1:]), 20)
        assert gone not in routes(p.a)

        def refused():
            before = p.a.counters()["dataplane.not-protected"]
            return not ping(a.host, a.host4, b.host4, tries=1) and p.a.counters()["dataplane.not-protected"] > before

        until("the dataplane has forgotten it", refused, 15)
        assert ping(a.host, a.host6, b.host6)


def main():
    need("ip", "nft", "ethtool", "tcpdump", "ping")
    with World("bgp") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites, tunnels=2, dpd={"interval": "2s", "timeout": "6s"})
        configure(p, sites, bfd=True)
        with wire.Guard(*sites.wires), p.a, p.b:
            cases(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
