#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reload by difference: what did not change is not touched."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import new_psk, pair, wait_both_up  # noqa: E402


def third_site(gw):
    """A connection to a site that does not answer."""
    gw.config["connections"].append({
        "name": "site-c", "local_networks": ["10.1.0.0/24"], "remote_networks": ["10.3.0.0/24"],
        "defaults": {"psk_file": gw.psk("site-c", new_psk()), "startup": "add"},
        "tunnels": [{"name": "site-c-1", "local_address": "192.0.2.1", "remote_address": "203.0.113.9",
                     "interface": "tb-c-1", "inside_addresses": ["169.254.20.1/30"]}]})


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    t = p.names_a[0]
    gw = p.a
    options = gw.config["connections"][0]["defaults"]
    wait_both_up(p)

    def untouched(what, change, say, shown=None):
        ids, ike = gw.ids(t), gw.ids(t, "ike")
        pids = gw.restarts()
        with Stream(a.host, a.host4, b.host, b.host4) as stream:
            time.sleep(0.2)
            change()
            answer = gw.reload()
            time.sleep(0.5)
            report = stream.stop()
        say(report)
        assert report.lost == 0, f"{what} cost {report.lost} packets"
        assert gw.ids(t) == ids and gw.ids(t, "ike") == ike, f"{what} made the SAs anew"
        assert gw.restarts() == pids, f"{what} restarted a process"
        if shown is not None:
            assert set(answer["changed"]) == set(shown), answer

    with tap.case("a reload without a change changes nothing") as say:
        untouched("nothing", lambda: None, say, [])

    with tap.case("a connection is added: the other is untouched") as say:
        untouched("the addition", lambda: third_site(gw), say)
        assert {c["name"] for c in gw.call("show.connections")["connections"]} == {"site-b", "site-c"}
        assert "10.3.0.0/24" in {r["prefix"] for r in gw.call("show.routes")["routes"]}
        assert a.gw.has("tb-c-1")

    with tap.case("a port cannot change: the reload says so, and nothing else of it happens") as say:
        port = gw.config["ports"][1]
        port["mtu"] = 1400
        gw.write()
        r = gw.cli("reload", check=False, as_json=False)
        assert r.returncode != 0 and "'ports' cannot change" in r.stderr + r.stdout, r
        del port["mtu"]
        untouched("what was refused", lambda: None, say, [])

    with tap.case("it is removed: the other is untouched") as say:
        untouched("the removal", lambda: gw.config["connections"].pop(), say)
        assert {c["name"] for c in gw.call("show.connections")["connections"]} == {"site-b"}
        assert not a.gw.has("tb-c-1")

    with tap.case("timers and DPD change in place") as say:
        untouched("new timers", lambda: options.update(dpd={"interval": "7s", "timeout": "30s"}), say)

    with tap.case("new networks restart that tunnel alone") as say:
        third_site(gw)
        gw.reload()
        before = gw.ids(t)
        gw.config["connections"][0]["remote_networks"].append("10.22.0.0/24")
        p.b.config["connections"][0]["local_networks"].append("10.22.0.0/24")
        gw.reload()
        p.b.reload()
        wait_both_up(p)
        assert gw.ids(t) != before
        assert "10.22.0.0/24" in {r["prefix"] for r in gw.call("show.routes")["routes"]}
        assert any("10.22.0.0" in ts for s in gw.sas(t, "child") for ts in s["remote_ts"])
        assert ping(a.host, a.host4, b.host4)

    with tap.case("a wrong configuration is refused with its place, and changes nothing"):
        ids = gw.ids(t)
        good = gw.snapshot()
        gw.config["connections"][0]["local_netwroks"] = ["10.1.0.0/24"]
        gw.write()
        r = gw.cli("reload", check=False, as_json=False)
        assert r.returncode == 1, r.returncode
        text = r.stdout + r.stderr
        if "local_netwroks" not in text or "local_networks" not in text:
            raise LabError(f"the message does not help: {text}")
        gw.config = good
        gw.write()
        assert gw.ids(t) == ids and ping(a.host, a.host4, b.host4)

    with tap.case("SIGHUP reloads, too"):
        third = [c for c in gw.config["connections"] if c["name"] != "site-b"]
        gw.config["connections"] = [gw.config["connections"][0]]
        assert third
        gw.write()
        import os
        import signal
        os.kill(gw.process.pid, signal.SIGHUP)
        until("the removed connection is gone",
              lambda: {c["name"] for c in gw.call("show.connections")["connections"]} == {"site-b"})
        until("an event tells of it", lambda: gw.events("reloaded"))


def main():
    need("ip", "ethtool", "tcpdump", "ping")
    with World("reload") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites)
        with wire.Guard(*sites.wires), p.a, p.b:
            cases(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
