#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rekey storm: both ends rekey the child and the IKE SA without a pause, while one IKE packet of a hundred is
lost, and nothing of the traffic may be. The router drops only IKE, so that every lost packet of the stream
is the rekeys' fault.

Usage: storm.py strongswan|twinbore [--full] [CHILD IKE]      (--full or TWINBORE_FULL=1: 1000 and 100, else 60 and 10)"""

import argparse
import os
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need, until, wire  # noqa: E402
from lab.flows import Flow, reach  # noqa: E402
from lab.strongswan import PSK, StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import Twinbore, pair, wait_both_up  # noqa: E402
from lab.vici import Vici  # noqa: E402

LOSS_PERCENT = 1
PATIENCE_S = 100  # for one rekey: a lost packet costs retransmissions, a lost race a second try


class Ours:
    def __init__(self, tb, tunnel):
        self.tb, self.tunnel = tb, tunnel

    def ids(self, what):
        return self.tb.ids(self.tunnel, what)

    def rekey(self, what):
        self.tb.call("rekey", tunnel=self.tunnel, what=what)

    def pairs(self, what):
        """As the peer names them: both SPIs, in no order."""
        return {frozenset(x) for x in self.ids(what)}


class Theirs:
    """strongSwan, by a control connection of its own: this end works in another thread."""

    def __init__(self, ss):
        self.ss = ss
        self.vici = Vici.at(ss.socket)

    def ids(self, what):
        sas = [s for tree in self.vici.call("list-sas", "list-sa", ike="lab") for s in tree.values()]
        if what == "ike":
            return {(s["initiator-spi"], s["responder-spi"]) for s in sas if s["state"] == "ESTABLISHED"}
        return {(c["spi-in"], c["spi-out"]) for s in sas for c in s.get("child-sas", {}).values()
                if c["state"] == "INSTALLED"}

    def rekey(self, what):
        self.vici.call("rekey", **({"child": "net"} if what == "child" else {"ike": "lab"}))

    pairs = Ours.pairs


class Storm(threading.Thread):
    """One end's rekeys, one after the other."""

    def __init__(self, end, child, ike, seed):
        super().__init__(daemon=True)
        self.end, self.random = end, random.Random(seed)
        self.todo = ["child"] * child + ["ike"] * ike
        self.random.shuffle(self.todo)
        self.done = {"child": 0, "ike": 0}
        self.refused = 0
        self.error = None

    def run(self):
        try:
            for what in self.todo:
                self.one(what)
        except Exception as e:  # told by the main thread
            self.error = e

    def one(self, what):
        give_up = time.monotonic() + PATIENCE_S
        before = self.end.ids(what)
        asked = 0.0
        while True:
            now = time.monotonic()
            if now >= asked + 5:  # again: the other end's rekey may have come in between
                try:
                    self.end.rekey(what)
                    asked = now
                except LabError:
                    self.refused += 1
            ids = self.end.ids(what)
            before = before or ids  # for a moment there may be none that is not being rekeyed
            if ids and not ids & before:
                self.done[what] += 1
                return
            if now >= give_up:
                raise LabError(f"no {what} rekey within {PATIENCE_S} s: {before} became {ids}")
            time.sleep(0.005)


def lossy(wan, percent):
    """Drops IKE: all of port 500, and of port 4500 what has the non-ESP marker."""
    wan.nft(f"""table inet loss {{ chain forward {{ type filter hook forward priority 10; policy accept;
        udp dport 500 numgen random mod 100 < {percent} counter drop;
        udp dport 4500 udp length > 12 @th,64,32 0 numgen random mod 100 < {percent} counter drop; }}; }}\n""")


def n_lost(wan):
    words = wan.run(["nft", "list", "table", "inet", "loss"]).stdout.split()
    return sum(int(words[i + 1]) for i, w in enumerate(words) if w == "packets")


def storm(tap, sites, ends, child, ike, restarts):
    a, b = sites.a, sites.b
    pairs = [((a.host, a.host4), (b.host, b.host4)), ((a.host, a.host6), (b.host, b.host6))]
    reach(*pairs)
    seed = int(os.environ.get("TWINBORE_SEED", "1"))
    with tap.case(f"{child} child and {ike} IKE rekeys by both ends at once, {LOSS_PERCENT} % of IKE lost") as say, \
            Flow(*pairs, interval_ms=5) as flow:
        lossy(sites.wan, LOSS_PERCENT)
        started = time.monotonic()
        # What one end rekeys the other sees too: each does half of it.
        storms = [Storm(e, (child + 1) // 2, (ike + 1) // 2, seed + n) for n, e in enumerate(ends)]
        for s in storms:
            s.start()
        for s in storms:
            s.join()
        seconds = time.monotonic() - started
        lost = n_lost(sites.wan)
        sites.wan.nft("delete table inet loss\n")
        for s in storms:
            if s.error:
                raise s.error
        for what in ("child", "ike"):
            until(f"both ends hold the same single {what} SA",
                  lambda: len(x := ends[0].pairs(what)) == 1 and x == ends[1].pairs(what), 60)
        packets = flow.lossless()
        say(f"{packets} packets, none lost; {lost} IKE packets were; {seconds:.1f} s; "
            f"done {' and '.join(str(s.done) for s in storms)}; refused {sum(s.refused for s in storms)}; seed {seed}")
        assert all(sum(s.done[w] for s in storms) >= n for w, n in (("child", child), ("ike", ike)))
        assert lost or child < 200, "the router lost nothing"
    with tap.case("what is left is one tunnel, and no process was restarted"):
        reach(*pairs)
        assert all(n == 0 for r in restarts() for _, n in r.values())


def main():
    options = argparse.ArgumentParser(description="Rekeys by both ends without a pause, while IKE packets are lost.")
    options.add_argument("peer", choices=("strongswan", "twinbore"))
    options.add_argument("rekeys", type=int, nargs="*", metavar="CHILD IKE", help="how many; default 60 10")
    options.add_argument("--full", action="store_true", default=bool(os.environ.get("TWINBORE_FULL")), help="1000 100")
    o = options.parse_args()
    if len(o.rekeys) not in (0, 2):
        options.error("CHILD and IKE are two numbers")
    peer = o.peer
    child, ike = o.rekeys or ((1000, 100) if o.full else (60, 10))
    need("ip", "nft", "ethtool", "tcpdump", "charon-systemd", "swanctl")
    with World("storm") as world:
        tap = Tap(world)
        if peer == "twinbore":
            sites = two_sites(world)
            p = pair(sites)
            with wire.Guard(*sites.wires), p.a, p.b:
                wait_both_up(p)
                storm(tap, sites, [Ours(p.a, p.names_a[0]), Ours(p.b, p.names_b[0])], child, ike,
                      lambda: [p.a.restarts(), p.b.restarts()])
        else:
            sites = two_sites(world, Side(), Side(kernel=True))
            tb, ss = Twinbore(sites.a), StrongSwan(sites.b, sites.a)
            tb.connect(sites.b, PSK, [(sites.a.outside[0], sites.b.public[0])], startup="start",
                       ike={"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
                       esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]})
            ss.options.update({"retransmit_tries": "6"})
            with wire.Guard(*sites.wires), ss, tb:
                tb.wait_up("site-b-1")
                ss.wait_up()
                storm(tap, sites, [Ours(tb, "site-b-1"), Theirs(ss)], child, ike, lambda: [tb.restarts()])
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
