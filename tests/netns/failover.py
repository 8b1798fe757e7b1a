#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two tunnels: traffic leaves a path that was cut silently, and returns when the path does."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, cut, heal, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, wait_both_up  # noqa: E402

# So long that a machine that stands still for a second takes no peer for dead.
DPD = {"interval": "300ms", "timeout": "3s", "action": "restart"}
GAP_MS = 15000  # of a busy machine; the simulator knows the bound


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    first, second = p.names_a
    with tap.case("two tunnels are up, the first carries"):
        wait_both_up(p)
        p.a.wait_active("site-b", first)
        p.b.wait_active("site-a", p.names_b[0])
        assert ping(a.host, a.host4, b.host4)

    for n in (1, 2):
        with tap.case(f"tunnel 1 cut silently, time {n}: traffic moves to tunnel 2") as say, \
                Stream(a.host, a.host4, b.host, b.host4) as stream:
            time.sleep(0.5)
            cut(sites.wan, b.public[0])
            p.a.wait_active("site-b", second, 6)
            p.b.wait_active("site-a", p.names_b[1], 6)
            time.sleep(0.5)
            report = stream.stop()
            say(report)
            assert report.lost > 0 and report.received > 0
            assert report.gap_ms <= GAP_MS, report
            until("an event tells of it", lambda: p.a.events("switched")[-1]["to"] == second)
            until("the state says so", lambda: p.a.status()["state"] == "degraded")
            assert p.a.cli("status", as_json=False).returncode == 3

        with tap.case(f"the path returns, time {n}: traffic comes back without loss") as say, \
                Stream(a.host, a.host4, b.host, b.host4) as stream:
            heal(sites.wan)
            p.a.wait_active("site-b", first, 20)
            p.b.wait_active("site-a", p.names_b[0], 20)
            time.sleep(0.5)
            report = stream.stop()
            say(report)
            assert report.lost == 0, report

    with tap.case("the idle tunnel cut: traffic does not notice") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        cut(sites.wan, b.public[1])
        p.a.wait_down(second)
        heal(sites.wan)
        p.a.wait_up(second)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report

    with tap.case("`down` of the first tunnel moves traffic without loss") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        time.sleep(0.2)
        p.a.down(first)
        p.a.wait_active("site-b", second)
        time.sleep(0.3)
        p.a.up(first)
        p.a.wait_active("site-b", first)
        time.sleep(0.3)
        report = stream.stop()
        say(report)
        assert report.lost == 0, report

    with tap.case("echoes that are not answered move traffic before DPD would") as say:
        for gw in (p.a, p.b):
            c = gw.config["connections"][0]
            c["static_routes"] = c["remote_networks"]
            c["local_networks"] = c["remote_networks"] = ["0.0.0.0/0", "::/0"]
            c["defaults"]["probe"] = {"interval": "50ms"}
            c["defaults"]["dpd"] = {"interval": "20s", "timeout": "60s"}
            gw.reload()
        wait_both_up(p)
        for gw, names in ((p.a, p.names_a), (p.b, p.names_b)):
            until("probes are answered", lambda: {e["tunnel"] for e in gw.events("probe-up")} == set(names), 10)
        p.a.wait_active("site-b", first, 20)
        with Stream(a.host, a.host4, b.host, b.host4) as stream:
            time.sleep(0.3)
            n_dpd = len(p.a.events("dpd-timeout"))
            cut(sites.wan, b.public[0])
            p.a.wait_active("site-b", second, 6)
            p.b.wait_active("site-a", p.names_b[1], 6)
            time.sleep(0.3)
            report = stream.stop()
        say(report)
        assert report.received and report.gap_ms <= GAP_MS, report
        assert not [e for e in p.a.events("dpd-timeout")[n_dpd:]], "it was DPD"
        heal(sites.wan)
        p.a.wait_active("site-b", first, 20)
        for gw in (p.a, p.b):
            gw.config["connections"][0]["defaults"]["dpd"] = DPD
            gw.reload()

    with tap.case("both cut: nothing in clear; both return: traffic does"):
        cut(sites.wan, a.public[0])
        p.a.wait_down(first, second)
        p.b.wait_down(*p.names_b)
        assert not ping(a.host, a.host4, b.host4, tries=2)
        heal(sites.wan)
        wait_both_up(p)
        until("the hosts talk", lambda: ping(a.host, a.host4, b.host4, tries=1))


def main():
    need("ip", "nft", "ethtool", "tcpdump", "ping")
    with World("failover") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites, tunnels=2, dpd=DPD)
        with wire.Guard(*sites.wires), p.a, p.b:
            cases(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
