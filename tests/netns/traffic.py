#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic through one tunnel: both families, both ways, every size, and nothing of it in clear; by one worker in native
ESP, then by two, in UDP with a source port for each flow."""

import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need, until, wire  # noqa: E402
from lab.fetch import Server  # noqa: E402
from lab.flows import Flow  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import DRIVER, pair, wait_both_up  # noqa: E402
from lab.volleys import Volleys  # noqa: E402

GIB = 1 << 30


def nothing_passes(sites, seconds=1):
    a, b = sites.a, sites.b
    with Stream(a.host, a.host4, b.host, b.host4) as there, Stream(b.host, b.host6, a.host, a.host6) as here:
        time.sleep(seconds)
        for report in (there.stop(), here.stop()):
            if report.received or report.sent < 5:
                raise LabError(f"{report.received} of {report.sent} packets passed without a tunnel")


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    t = p.names_a[0]
    with tap.case("nothing passes, and nothing shows in clear, before the tunnel is up"), wire.Capture(*a.wire) as w:
        nothing_passes(sites)
        wire.judge(w.stop().packets(), sites.inner)

    with tap.case("the tunnel comes up on `up`") as say:
        p.a.up(t)
        wait_both_up(p)
        say(p.a.call("show.ports")["eal"])

    with tap.case("the inside addresses reach each other"):
        assert ping(a.gw, "169.254.10.1", "169.254.10.2") and ping(b.gw, "169.254.10.2", "169.254.10.1")

    with tap.case("IPv4 and IPv6 streams of 2 ms both ways lose nothing") as say, wire.Capture(*a.wire) as w:
        for x, y in ((a, b), (b, a)):
            assert ping(x.host, x.host4, y.host4) and ping(x.host, x.host6, y.host6)
        with Stream(a.host, a.host4, b.host, b.host4, 2) as there4, Stream(b.host, b.host4, a.host, a.host4, 2) as here4, \
                Stream(a.host, a.host6, b.host, b.host6, 2, 700) as there6, \
                Stream(b.host, b.host6, a.host, a.host6, 2, 700) as here6:
            time.sleep(2)
            for report in (there4.stop(), here4.stop(), there6.stop(), here6.stop()):
                say(report)
                assert report.lost == 0 and report.duplicated == 0 and report.reordered == 0
        classes = wire.judge(w.stop().packets(), sites.inner)
        assert classes["esp"] + classes["esp-in-udp"] > 5000, classes

    with tap.case("packets of every size pass; those that are too big are said to be") as say:
        for size in list(range(0, 60, 7)) + [500, 1000, 1300, 1400]:
            r = a.host.run(["ping", "-c", "1", "-W", "10", "-s", size, "-M", "do", b.host4], check=False)
            assert r.returncode == 0, f"{size}: {r.stdout}"
        r = a.host.run(["ping", "-c", "2", "-i", "0.3", "-W", "1", "-s", "1472", "-M", "do", b.host4], check=False)
        assert r.returncode != 0 and "mtu" in r.stdout.lower() + r.stderr.lower(), r.stdout
        shown = p.a.tunnel(t)["mtu"]
        route = a.host.ip(f"route get {b.host4}")
        assert f"mtu {shown}" in route, f"the host learnt {route!r}, the tunnel's MTU is {shown}"
        say(f"inner MTU {shown}")
        fragments = (b.host4, b.host6) if DRIVER != "net_af_packet" else ()  # it reassembles them
        for to in fragments:  # the first few teach IPv6 the path MTU, there and back
            r = a.host.run(["ping", "-c", "5", "-i", "0.2", "-W", "1", "-s", "4000", to], check=False)
            assert r.returncode == 0, r.stdout

    with tap.case("the counters of both sides agree"):
        for x, y, tx, ty in ((p.a, p.b, t, p.names_b[0]), (p.b, p.a, p.names_b[0], t)):
            def same():
                out, into = x.tunnel(tx), y.tunnel(ty)
                return (out["out_packets"], out["out_bytes"]) == (into["in_packets"], into["in_bytes"]) and \
                    out["out_packets"] > 1000
            until(f"the packets of {tx}", same)

    with tap.case("1 GiB over HTTP has the same SHA-256, nothing of it is in clear") as say, \
            wire.Capture(*a.wire, count=60000) as w, Server(b.host, b.host4) as server:
        got = server.fetch(a.host, GIB)
        assert got.ok, got
        say(f"{got.mbps:.0f} Mbit/s")
        classes = wire.judge(w.stop().packets(), sites.inner)
        say(f"{classes.total()} packets on the wire looked at")
        assert classes["esp"] + classes["esp-in-udp"] > 50000, classes

    with tap.case("the other way, and over IPv6") as say:
        with Server(a.host, a.host4) as server:
            got = server.fetch(b.host, 100_000_000)
            assert got.ok, got
            say(f"{got.mbps:.0f} Mbit/s")
        with Server(b.host, b.host6) as server:
            got = server.fetch(a.host, 100_000_000)
            assert got.ok, got
            say(f"IPv6 {got.mbps:.0f} Mbit/s")

    with tap.case("nothing passes, and nothing shows in clear, after `down`"), wire.Capture(*a.wire) as w, \
            Stream(a.host, a.host4, b.host, b.host4) as crossing:
        time.sleep(0.3)
        p.a.down(t)
        p.a.wait_down(t)
        p.b.wait_down(p.names_b[0])
        nothing_passes(sites)
        report = crossing.stop()
        assert 0 < report.received < report.sent, report
        wire.judge(w.stop().packets(), sites.inner)

    with tap.case("the tunnel comes up again from the other side"):
        p.b.up(p.names_b[0])
        wait_both_up(p)
        assert ping(a.host, a.host4, b.host4)

    with tap.case("the command line shows it"):
        for words in (["status"], *(["show", w] for w in ("connections", "tunnels", "sas", "routes", "ports",
                                                          "counters"))):
            shown = p.a.cli(*words)
            assert shown["version"] == 1, shown
            assert p.a.cli(*words, as_json=False).stdout.strip()
        assert p.a.cli("status", as_json=False).returncode == 0
        r = p.a.cli("rekey", "site-b-9", check=False, as_json=False)
        assert r.returncode == 1 and "site-b-1" in r.stderr, (r.returncode, r.stderr)
        assert p.a.cli("nonsense", check=False, as_json=False).returncode == 2


def shared(gw):
    """How many bursts workers have put forward for others, and how many others have done."""
    workers = gw.call("show.ports")["workers"]
    return sum(w["spread"] for w in workers), sum(w["helped"] for w in workers)


def ports_of(packets, sender, kind):
    """The UDP source ports of this sender's packets of a kind."""
    return {int.from_bytes(p.data[34:36], "big") for p in packets
            if p.data[26:30] == socket.inet_aton(sender) and wire.classify(p.data)[0] == kind}


def flows_have_ports(tap, sites, p):
    a, b = sites.a, sites.b
    pairs = [((a.host, a.host4), (b.host, b.host4))] * 6 + [((a.host, a.host6), (b.host, b.host6))] * 6
    with tap.case("each flow has a UDP source port, which no end takes for a move; IKE keeps its own") as say, \
            wire.Capture(*a.wire) as w:
        with Flow(*pairs, interval_ms=20) as flow:
            until("packets came by each of them", flow.flows)
            p.a.rekey(p.names_a[0], "ike")
            p.b.rekey(p.names_b[0])
            flow.lossless()
        packets = list(w.stop().packets())
        wire.judge(packets, sites.inner)
        for gw, site, name in ((p.a, a, p.names_a[0]), (p.b, b, p.names_b[0])):
            ports = ports_of(packets, site.outside[0], "esp-in-udp")
            say(f"{len(ports)} ports")
            assert len(ports) > 4 and min(ports) >= 49152, ports
            assert ports_of(packets, site.outside[0], "ike") == {4500}
            assert all(s["udp_ports_vary"] for s in gw.sas(name, "child"))
            assert gw.tunnel(name)["remote"].endswith(":4500"), gw.tunnel(name)["remote"]
            assert not gw.events("peer-moved"), gw.events("peer-moved")


def not_in_order(gw):
    c = gw.counters()
    return c["dataplane.esp-in-replayed"] + c["dataplane.esp-in-before-window"]


def two_workers(tap, sites, p):
    """a's workers help each other, b's do not."""
    a, b = sites.a, sites.b
    wait_both_up(p)
    flows_have_ports(tap, sites, p)
    for what, source, to in (("encrypts", (a.host, a.host4), (b.host, b.host4)),
                             ("decrypts", (b.host, b.host6), (a.host, a.host6))):
        with tap.case(f"a second worker {what} for the one that has the SA: order kept, nothing lost") as say:
            assert ping(source[0], source[1], to[1])
            with Volleys(source, to) as volleys:
                for gw, name in ((None, None), (p.a, p.names_a[0]), (p.b, p.names_b[0])):
                    if gw:
                        gw.rekey(name)
                    before = shared(p.a)[1]
                    until("the other worker helps", lambda: shared(p.a)[1] > before, 60)
                say(f"{volleys.lossless()} packets, {shared(p.a)[1]} of {shared(p.a)[0]} bursts by the helper")
            assert not_in_order(p.a) == not_in_order(p.b) == 0
    with tap.case("with spread_crypto: off each works alone"):
        assert shared(p.b) == (0, 0) and len(p.b.call("show.ports")["workers"]) == 2


def main():
    need("ip", "ethtool", "tcpdump", "curl", "ping")
    with World("traffic") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites, hugepages="auto")  # as many as the machine has
        p.a.config["connections"][0]["defaults"]["startup"] = "add"
        for gw, ours, theirs in ((p.a, 1, 2), (p.b, 2, 1)):  # the selectors let the inside addresses talk
            gw.config["connections"][0]["local_networks"].append(f"169.254.10.{ours}/32")
            gw.config["connections"][0]["remote_networks"].append(f"169.254.10.{theirs}/32")
        try:
            with wire.Guard(*sites.wires), p.a, p.b:
                cases(tap, sites, p)
        finally:
            if tap.n_failed:
                tap.say(p.a.log[-1500:])
        for gw in (p.a, p.b):
            gw.config["dataplane"]["workers"] = 2
            gw.config["connections"][0]["defaults"].update(udp_encapsulation="force", udp_port_entropy=True)
        p.b.config["dataplane"]["spread_crypto"] = "off"
        p.a.config["connections"][0]["defaults"]["startup"] = "start"
        with wire.Guard(*sites.wires), p.a, p.b:
            two_workers(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
