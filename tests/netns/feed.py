#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A neighbour announces a large table through a tunnel, and takes it back by falling: meanwhile BFD holds, DPD
is answered, and no packet is lost."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, wire  # noqa: E402
from lab.feed import Feed, Watch, feed_pair, settle  # noqa: E402
from lab.stream import Stream  # noqa: E402
from lab.topology import two_sites  # noqa: E402

N4, N6 = 200000, 50000
# A machine that runs other tests at the same time may make each process wait for a second.
BFD = {"interval": "200ms", "multiplier": 10}
DPD = {"interval": "200ms", "timeout": "10s"}


def case(tap, sites, p, what, act, done):
    with tap.case(what) as say:
        watch = Watch(p)
        with Stream(sites.a.host, sites.a.host4, sites.b.host, sites.b.host4) as stream:
            since = act()
            seconds = done() - since
            time.sleep(0.5)
            report = stream.stop()
        seen = watch.row()
        say(f"{seconds:.2f} s, {report}, {seen}")
        assert report.received > 0 and report.lost == 0, report
        assert seen["dpd_sent"] > 0, seen
        # What was late is asked for once more.
        assert {k: v for k, v in seen.items() if v and k not in ("dpd_sent", "retransmissions")} == {}, seen


def main():
    need("ip", "nft", "ethtool", "tcpdump", "ping")
    with World("feed") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = feed_pair(sites, BFD, DPD)
        with wire.Guard(*sites.wires), p.a, p.b:
            settle(p)
            with Feed(p, N4, N6) as feed:
                case(tap, sites, p, f"{N4 + N6} routes come", feed.announce, lambda: feed.wait(N4 + N6, 60))
                case(tap, sites, p, "they go", feed.fall, lambda: feed.wait(0, 60))
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
