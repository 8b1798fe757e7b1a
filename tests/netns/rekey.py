#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rekeys under traffic: from either side, from both at once, of the child and of the IKE SA."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.stream import Stream  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, wait_both_up  # noqa: E402


class Streams:
    """A stream each way; their loss is the case's."""

    def __init__(self, sites):
        a, b = sites.a, sites.b
        self.streams = [Stream(a.host, a.host4, b.host, b.host4), Stream(b.host, b.host6, a.host, a.host6)]

    def __enter__(self):
        for s in self.streams:
            s.__enter__()
        return self

    def lossless(self, say):
        for s in self.streams:
            report = s.stop()
            say(report)
            assert report.lost == 0, f"lost {report.lost_at[:10]} of {report.sent}"
            assert report.duplicated == 0

    def __exit__(self, *exc):
        for s in self.streams:
            s.__exit__(*exc)
        return False


def settled(p, what):
    a, b = p.names_a[0], p.names_b[0]

    def same():
        x, y = p.a.ids(a, what), p.b.ids(b, what)
        if len(x) != 1 or len(y) != 1:
            return False
        (x1, x2), (y1, y2) = *x, *y
        return (x1, x2) == (y2, y1) if what == "child" else (x1, x2) == (y1, y2)

    until(f"both sides hold the same single {what} SA", same)


def cases(tap, sites, p):
    ends = {"a": (p.a, p.names_a[0]), "b": (p.b, p.names_b[0])}
    for side, (gw, tunnel) in ends.items():
        for what, times in (("child", 20), ("ike", 3)):
            with tap.case(f"{times} {what} rekeys by {side} lose nothing") as say, wire.Capture(*sites.a.wire) as w, \
                    Streams(sites) as streams:
                for _ in range(times):
                    gw.rekey(tunnel, what)
                    settled(p, what)
                streams.lossless(say)
                wire.judge(w.stop().packets(), sites.inner)

    for what, times in (("child", 10), ("ike", 5)):
        with tap.case(f"{times} {what} rekeys by both sides at once lose nothing") as say, Streams(sites) as streams:
            for _ in range(times):
                before = [gw.ids(t, what) for gw, t in ends.values()]
                for gw, t in ends.values():
                    gw.call("rekey", tunnel=t, what=what)
                for (gw, t), ids in zip(ends.values(), before):
                    until(f"the {what} SA of {t} is rekeyed", lambda: not gw.ids(t, what) & ids)
                settled(p, what)
                time.sleep(0.05)
                settled(p, what)
            streams.lossless(say)

    with tap.case("an IKE rekey and a child rekey at once lose nothing") as say, Streams(sites) as streams:
        for _ in range(5):
            before = p.a.ids(p.names_a[0]), p.a.ids(p.names_a[0], "ike")
            p.a.call("rekey", tunnel=p.names_a[0], what="ike")
            p.b.call("rekey", tunnel=p.names_b[0], what="child")
            until("both are rekeyed", lambda: not p.a.ids(p.names_a[0]) & before[0] and
                  not p.a.ids(p.names_a[0], "ike") & before[1])
            settled(p, "child")
            settled(p, "ike")
        streams.lossless(say)

    with tap.case("the events tell of them"):
        kinds = {e["kind"] for e in p.a.events(tunnel=p.names_a[0])}
        assert {"child-rekeyed", "ike-rekeyed"} <= kinds, kinds


def main():
    need("ip", "ethtool", "tcpdump")
    with World("rekey") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites, esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [True]})
        with wire.Guard(*sites.wires), p.a, p.b:
            wait_both_up(p)
            cases(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
