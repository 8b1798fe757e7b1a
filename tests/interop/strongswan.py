#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Twinbore and strongSwan 5.9: tunnel, traffic, rekeys from both sides, DPD, delete.

Usage: strongswan.py initiator|responder direct|behind-nat|peer-behind-nat

The role and the place are Twinbore's, at site a. A responder behind a NAT is reached by port
forwarding. Restarts and dead peers are tried in some of the places (FAULTS), in all of them where
TWINBORE_FULL is set."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, cut, heal, need, until, wire  # noqa: E402
from lab.fetch import Server  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.strongswan import PSK, StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import Twinbore  # noqa: E402

TUNNEL = "site-b-1"
# Of each role and each place one.
FAULTS = [("initiator", "behind-nat"), ("responder", "direct"), ("initiator", "peer-behind-nat")]
DETECTION_S = 8


class Pair:
    def __init__(self, sites, role):
        self.sites, self.a, self.b = sites, sites.a, sites.b
        self.we_begin = role == "initiator"
        self.tb = Twinbore(sites.a)
        self.tb.connect(sites.b, PSK, [(sites.a.outside[0], sites.b.public[0])],
                        startup="start" if self.we_begin else "add",
                        ike={"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
                        esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]},
                        dpd={"interval": "500ms", "timeout": "3s",
                             "action": "restart" if self.we_begin else "clear"})
        self.ss = StrongSwan(sites.b, sites.a)
        self.ss.connection["dpd_delay"] = "1s"
        if not self.we_begin:
            self.ss.child["dpd_action"] = "restart"

    def begin(self):
        if self.we_begin:
            self.tb.up(TUNNEL)
        else:
            self.ss.initiate()
        self.both_up()

    def both_up(self, timeout=20):
        self.tb.wait_up(TUNNEL, timeout=timeout)
        self.ss.wait_up(timeout)

    def talks(self):
        for x, y in ((self.a, self.b), (self.b, self.a)):
            assert ping(x.host, x.host4, y.host4), f"no answer from {y.host4}"
            assert ping(x.host, x.host6, y.host6), f"no answer from {y.host6}"

    def rekeys(self, side, what, times):
        """Rekeys from one side; both must have followed before the next."""
        for n in range(times):
            if side == "twinbore":
                self.tb.rekey(TUNNEL, what)
            else:
                before = self.tb.ids(TUNNEL, what)
                self.ss.rekey(what)
                self.tb.wait_rekeyed(TUNNEL, what, before)
            until(f"both hold one {what} SA after rekey {n + 1} by {side}",
                  lambda: len(self.ss.ids(what)) == 1 and len(self.tb.ids(TUNNEL, what)) == 1)


def faults(tap, p):
    a, b, tb, ss = p.a, p.b, p.tb, p.ss
    with tap.case("the ike process is killed between rekeys: strongSwan does not notice") as say, \
            Stream(a.host, a.host4, b.host, b.host4) as stream:
        before = tb.ids(TUNNEL), tb.ids(TUNNEL, "ike")
        for what in ("child", "ike"):
            tb.kill_role("ike")
            assert (tb.ids(TUNNEL), tb.ids(TUNNEL, "ike")) == before
            time.sleep(2.5)  # DPD of both, by the old message IDs
            p.rekeys("strongswan", what, 1)
            tb.kill_role("ike")
            p.rekeys("twinbore", what, 1)
            before = tb.ids(TUNNEL), tb.ids(TUNNEL, "ike")
        report = stream.stop()
        say(report)
        assert report.lost == 0, f"lost {report.lost_at[:10]} of {report.sent}"

    with tap.case("both detect a dead peer, and come back"):
        cut(p.sites.wan, b.public[0])
        tb.wait_down(TUNNEL, timeout=DETECTION_S)
        until("strongSwan gave the peer up", lambda: ss.log_has("giving up after"), DETECTION_S)
        heal(p.sites.wan)
        p.both_up(timeout=30)
        until("one pair of SAs is left",
              lambda: len(ss.ids()) == 1 and len(ss.ids("ike")) == 1 and len(tb.ids(TUNNEL)) == 1, 20)
        p.talks()


def cases(tap, p, with_faults):
    a, b, tb, ss = p.a, p.b, p.tb, p.ss
    with tap.case("the tunnel comes up"):
        if not p.we_begin:
            ss.initiate()
        p.both_up()
    if not tap.last_ok:
        tap.say(ss.log.read_text(errors="replace")[-3000:])
        tap.say(tb.log[-3000:])
        return

    with tap.case("IPv4 and IPv6 go both ways"):
        p.talks()

    with tap.case("a file arrives whole, each way") as say:
        for x, y in ((a, b), (b, a)):
            with Server(y.host, y.host4) as server:
                got = server.fetch(x.host, 20_000_000)
                assert got.ok
                say(f"{got.mbps:.0f} Mbit/s")

    for side in ("twinbore", "strongswan"):
        for what, times in (("child", 20), ("ike", 3)):
            with tap.case(f"{times} {what} rekeys by {side} lose nothing") as say, wire.Capture(*a.wire) as capture, \
                    Stream(a.host, a.host4, b.host, b.host4) as there, \
                    Stream(b.host, b.host4, a.host, a.host4) as here:
                p.rekeys(side, what, times)
                for report in (there.stop(), here.stop()):
                    say(report)
                    assert report.lost == 0, f"lost {report.lost_at[:10]} of {report.sent}"
                    assert report.duplicated == 0
                wire.judge(capture.stop().packets(), p.sites.inner)

    if with_faults:
        faults(tap, p)

    with tap.case("a delete by Twinbore reaches strongSwan"):
        tb.down(TUNNEL)
        ss.wait_down()
        until("Twinbore holds no SA", lambda: not tb.ids(TUNNEL) and not tb.ids(TUNNEL, "ike"))
        p.begin()
        p.talks()

    with tap.case("a delete by strongSwan reaches Twinbore"):
        before = tb.ids(TUNNEL)
        ss.terminate()
        until("Twinbore's SAs are gone or made anew", lambda: not tb.ids(TUNNEL) & before)
        if not p.we_begin:
            tb.wait_down(TUNNEL)
            p.begin()
        p.both_up()
        p.talks()

    with tap.case("a delete of the child alone by strongSwan"):
        before = tb.ids(TUNNEL)
        ss.terminate_child()
        until("Twinbore's child is gone or made anew", lambda: not tb.ids(TUNNEL) & before)
        if not p.we_begin:
            ss.initiate()
        p.both_up()
        p.talks()

    with tap.case("no other process was restarted"):
        assert all(n == (4 if with_faults and role == "ike" else 0) for role, (_, n) in tb.restarts().items()), tb.exits()


def main():
    role, place = sys.argv[1], sys.argv[2]
    need("ip", "nft", "ethtool", "tcpdump", "curl", "ping", "charon-systemd", "swanctl")
    with World("strongswan") as world:
        tap = Tap(world)
        sites = two_sites(world, Side(nat=place == "behind-nat", forwarded=role == "responder"),
                          Side(kernel=True, nat=place == "peer-behind-nat", forwarded=role == "initiator"))
        p = Pair(sites, role)
        with wire.Guard(*sites.wires), p.ss, p.tb:
            cases(tap, p, (role, place) in FAULTS or "TWINBORE_FULL" in os.environ)
            if tap.n_failed:
                tap.say(p.tb.log[-1500:])
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
