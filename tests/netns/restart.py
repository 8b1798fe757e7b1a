#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Restarts: of the peer, of the dataplane, of the IKE process, of a gateway that was killed."""

import sys
import os
import signal
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, wait_both_up  # noqa: E402


def traffic_again(sites, p, timeout=25):
    wait_both_up(p, timeout)
    for x, y in ((sites.a, sites.b), (sites.b, sites.a)):
        until("the hosts talk", lambda: ping(x.host, x.host4, y.host4, tries=1), timeout)
    for gw, t in ((p.a, p.names_a[0]), (p.b, p.names_b[0])):
        until(f"one pair of SAs is left on {gw.site.name}",
              lambda: len(gw.ids(t)) == 1 and len(gw.ids(t, "ike")) == 1, 20)


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    with tap.case("up"):
        traffic_again(sites, p)

    for gw, name in ((p.a, "this side"), (p.b, "the peer")):
        for role in ("dp", "ike", "keyd", "route", "control"):
            with tap.case(f"{role} of {name} is killed: traffic returns") as say, \
                    Stream(a.host, a.host4, b.host, b.host4) as stream:
                time.sleep(0.3)
                n_down = len(gw.events("tunnel-down"))
                gw.kill_role(role)
                traffic_again(sites, p)
                time.sleep(0.3)
                report = stream.stop()
                say(report)
                assert report.gap_ms < 30000, report
                if role != "dp":
                    # The SAs stand in the dataplane: whoever else restarts, no packet is lost.
                    assert report.lost == 0, report
                    if role != "control":  # which keeps the events
                        assert len(gw.events("tunnel-down")) == n_down, "a tunnel went down"
                if role != "control":
                    until("an event tells of it", lambda: gw.events("process-exited"))

    for gw, t, name in ((p.a, p.names_a[0], "this side"), (p.b, p.names_b[0], "the peer")):
        with tap.case(f"ike of {name} is killed twice: the SAs stay, and both can be rekeyed") as say, \
                Stream(a.host, a.host4, b.host, b.host4) as stream:
            before = gw.ids(t), gw.ids(t, "ike")
            gw.kill_role("ike")
            gw.kill_role("ike")
            until("an event tells of it", lambda: gw.events("resumed", t))
            time.sleep(3.5)  # some DPD intervals, and longer than the timeout
            assert (gw.ids(t), gw.ids(t, "ike")) == before, (before, gw.ids(t), gw.ids(t, "ike"))
            for what in ("child", "ike"):
                gw.rekey(t, what)
                gw.kill_role("ike")
            traffic_again(sites, p)
            report = stream.stop()
            say(report)
            assert report.lost == 0, report

    with tap.case("the peer stops and starts in good order") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        time.sleep(0.3)
        p.b.stop()
        p.a.wait_down(p.names_a[0])
        p.b.start()
        traffic_again(sites, p)
        report = stream.stop()
        say(report)

    with tap.case("the peer is killed, supervisor first, and starts again") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        time.sleep(0.3)
        os.kill(p.b.process.pid, signal.SIGKILL)
        p.b.process.wait()
        until("no process of the killed gateway is left",
              lambda: not b.gw.world.run(["ip", "netns", "pids", b.gw.full]).stdout.split(), 10)
        p.b.start()
        traffic_again(sites, p)
        report = stream.stop()
        say(report)

    with tap.case("a gateway ends by SIGTERM at once and leaves nothing"):
        started = time.monotonic()
        process = p.a.process
        p.a.stop()
        assert process.popen.returncode == 0, process.popen.returncode
        assert time.monotonic() - started < 25  # its patience with itself, and a busy machine
        assert not a.gw.has("wan") and not a.gw.has("tb-b-1")
        assert not a.gw.world.run(["ip", "netns", "pids", a.gw.full]).stdout.split()


def main():
    need("ip", "ethtool", "tcpdump", "ping")
    with World("restart") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites, dpd={"interval": "300ms", "timeout": "3s", "action": "restart"})
        with wire.Guard(*sites.wires), p.a, p.b:
            cases(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
