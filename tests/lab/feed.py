# SPDX-License-Identifier: Apache-2.0
"""feed: two gateways, and a BGP neighbour at the second one's end of a tunnel that announces a whole table to
the first one; what else goes on meanwhile is watched.

Tunnel 1 carries the feed, BFD and the traffic of the sites, whose routes are static. Tunnel 2 carries nothing:
so its ends probe each other (DPD), as the first one's need not (RFC 7296 2.4)."""

import json
import time

from .twinbore import BUILD, pair, wait_both_up
from .world import LabError, until

OURS, FEEDER = 65001, 64999
ANY = ["0.0.0.0/0", "::/0"]


def feed_pair(sites, bfd, dpd):
    """Not started yet."""
    p = pair(sites, tunnels=2, dpd=dpd)
    for gw, me, peer in ((p.a, sites.a, sites.b), (p.b, sites.b, sites.a)):
        c = gw.config["connections"][0]
        c["local_networks"] = c["remote_networks"] = ANY
        c["static_routes"] = list(peer.networks)
        c["revert_hold"] = "500ms"
        c["tunnels"][0]["bfd"] = bfd
        c["tunnels"][0]["inside_addresses"].append(f"fd00:1::{me.number}/126")
        gw.config["routing"] = {"local_networks": list(me.networks)}
        gw.config["gateway"]["log"]["level"] = "info"
    p.a.config["bgp"] = {"local_as": OURS}
    p.a.config["connections"][0]["tunnels"][0]["bgp"] = {
        "remote_as": FEEDER, "hold_time": "180s", "passive": True, "max_prefixes": 0}
    return p


def settle(p):
    """The tunnels are up, BFD too, and tunnel 1 carries."""
    wait_both_up(p)
    for gw, name in ((p.a, p.names_a[0]), (p.b, p.names_b[0])):
        until(f"BFD of {name} is up", lambda: gw.events("bfd-up", name), 20)
        gw.wait_active(gw.config["connections"][0]["name"], name)


class Feed:
    """Context manager: a neighbour that announces so many prefixes to `p.a` from the address of `p.b` in
    tunnel 1. announce() and fall() return the monotonic clock's seconds."""

    def __init__(self, p, n4, n6):
        self.p, self.n4, self.n6 = p, n4, n6
        self.process = None

    def __enter__(self):
        self.before = self.p.a.status()["routes"]["prefixes"]
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stop()
        return False

    def announce(self):
        (ours, _), (theirs, six) = (
            [a.split("/")[0] for a in gw.config["connections"][0]["tunnels"][0]["inside_addresses"]]
            for gw in (self.p.a, self.p.b))
        self.process = self.p.b.ns.spawn([BUILD / "bench" / "bgp_feed", theirs, FEEDER, ours, f"--v4={self.n4}",
                                          f"--v6={self.n6}", f"--next-hop6={six}", "--announce"], "feed")
        self.process.wait_for('"sending"', 60)
        return self.at("sending")

    def at(self, event):
        for line in self.process.out.read_text().splitlines():
            said = json.loads(line)
            if said["event"] == event:
                return said["ns"] / 1e9
        raise LabError(f"the feeder has not come to '{event}': {self.process.text[-500:]}")

    def fall(self):
        since = time.monotonic()
        self.process.stop()
        return since

    def wait(self, n, timeout):
        """Until the dataplane has acknowledged all routes with `n` of the feed; when that was."""
        def done():
            if n and not self.process.running:
                raise LabError(f"the feeder has ended: {self.process.text[-500:]}")
            r = self.p.a.status()["routes"]
            return r["prefixes"] == self.before + n and r["waiting"] == 0 and time.monotonic()

        return until(f"{n} prefixes of the feed are in the dataplane", done, timeout, 0.05)


# ---- what else goes on ---------------------------------------------------------------------------

class Watch:
    """What goes wrong on either gateway from now on, and how often their peers were probed."""

    def __init__(self, p):
        self.gateways = (p.a, p.b)
        self.before = self._take()

    def _take(self):
        ike = {}
        for gw in self.gateways:
            for k, v in gw.call("show.counters")["ike"].items():
                ike[k] = ike.get(k, 0) + v
        return {"bfd_downs": sum(len(gw.events("bfd-down")) for gw in self.gateways),
                "dpd_sent": ike["dpd-sent"], "dpd_timeouts": ike["dpd-timeout"],
                "retransmissions": ike["tx-retransmissions"],
                "restarts": sum(n for gw in self.gateways for _, n in gw.restarts().values())}

    def row(self):
        return {k: v - self.before[k] for k, v in self._take().items()}
