# SPDX-License-Identifier: Apache-2.0
"""gateway_feed: a whole table by BGP through an encrypted tunnel into a whole gateway, and what else the
gateway does meanwhile: BFD and a packet each millisecond in the same tunnel, DPD in another one."""

import os
import subprocess
import time
from pathlib import Path

from bench.bgp import cpu_ms, rss_mb

NAME = "Twinbore, a whole gateway"
INTERVAL_MS = 1
BFD = {"interval": "50ms", "multiplier": 3}
DPD = {"interval": "100ms", "timeout": "2s"}
PATIENCE_S = 300
NICE = -15


class Usage:
    """CPU time and memory that the route process and the dataplane of a gateway take from now on."""

    def __init__(self, gw):
        self.pids = {name: gw.restarts()[role][0] for name, role in (("", "route"), ("fib_", "dp"))}
        self.before = self._take()

    def _take(self):
        return {f"{name}{what}": fn(pid) for name, pid in self.pids.items()
                for what, fn in (("cpu_ms", cpu_ms), ("rss_mb", rss_mb))}

    def row(self):
        return {k: round(v - self.before[k], 1) for k, v in self._take().items()}


def prefer(process):
    """Who measures is not to be measured: before the gateways, which run at -10."""
    os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
    try:
        Path(f"/proc/{process.pid}/autogroup").write_text(str(NICE))
    except FileNotFoundError:
        pass  # the kernel has none


def step(p, sites, act, done):
    """A row's figures for what `act` begins, and done() sees the end of."""
    from tests_lab.feed import Watch
    from tests_lab.stream import Stream
    watch = Watch(p)
    with Stream(sites.a.host, sites.a.host4, sites.b.host, sites.b.host4, INTERVAL_MS) as stream:
        prefer(stream.echo)
        prefer(stream.sender)
        time.sleep(0.5)
        usage = Usage(p.a)
        since = act()
        at = done()
        used = usage.row()
        time.sleep(0.5)
        report = stream.stop()
    return {"seconds": round(at - since, 2), **used, **watch.row(), "sent": report.sent, "lost": report.lost,
            "longest_gap_ms": round(report.gap_ms, 1)}


def rows(lab, n4, n6):
    row = {"bench": "bgp", "peer": NAME}
    try:
        with lab.World("feed-bench") as world:
            from tests_lab.feed import Feed, feed_pair, settle
            from tests_lab.topology import two_sites
            sites = two_sites(world)
            p = feed_pair(sites, BFD, DPD)
            with p.a, p.b:
                settle(p)
                with Feed(p, n4, n6) as feed:
                    for what, act, n in (("announced", feed.announce, n4 + n6), ("first falls", feed.fall, 0)):
                        yield {**row, "step": what, "n_routes": n4 + n6,
                               **step(p, sites, act, lambda: feed.wait(n, PATIENCE_S))}
    except (lab.LabError, OSError, ValueError, subprocess.SubprocessError) as e:
        yield {**row, "not_available": str(e)[-300:]}
