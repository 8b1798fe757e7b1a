#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The matrix: every row of the table (rows.py) with strongSwan. One tunnel a row comes up, is seen to have the
algorithms that were configured on both sides, carries numbered UDP both ways in IPv4 and IPv6 while its child and
its IKE SA are rekeyed from either side, loses nothing, and is deleted on both sides; the wire is judged for anything in
clear.

usage: matrix.py [--peer PEER] [--full] [--list] [--json FILE] [NAME...]

NAME picks rows; * stands for anything. --peer is who stands at the other end (peers.py). --full (or TWINBORE_FULL=1) takes the large table. --json writes one
object a row. --list prints the table and the pairs that it does not cover (none)."""

import argparse
import collections
import fnmatch
import json
import os
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need, until, wire  # noqa: E402
from lab.flows import Flow, reach  # noqa: E402
from lab.twinbore import Twinbore  # noqa: E402

import ground as grounds  # noqa: E402
import rows as tables  # noqa: E402
from keys import Keys, of as kind_of  # noqa: E402
from peers import PEERS, Userspace, same  # noqa: E402
from steps import MOVES, STEPS  # noqa: E402

# Kinds of certificates as `show sas` begins to name their signatures.
AUTH_SHOWN = {"rsa": "rsa", "rsa-4096": "rsa", "rsa-pss": "rsa-pss", "ecdsa": "ecdsa-sha2-256", "ecdsa-384": "ecdsa-sha2-384",
              "ecdsa-521": "ecdsa-sha2-512", "chain": "ecdsa-sha2-256", "raw-ecdsa": "ecdsa-sha2-256",
              "raw-ed25519": "ed25519", "raw-rsa": "rsa"}


class Trial:
    """One row between the two gateways."""

    def __init__(self, ground, tb, ss, row, say, peer=Userspace):
        self.ground, self.tb, self.ss, self.row, self.say, self.peer = ground, tb, ss, row, say, peer
        self.places = grounds.places(row)
        a, b = ground.a.host, ground.b.host
        self.pairs = [((a, x), (b, y)) for x, y in zip(self.places.our_hosts, self.places.their_hosts)]
        self.n_packets = 0

    def twin(self):
        other = next(r for r in self.ground.rows if r.name == grounds.twin_of(self.row).name)
        return Trial(self.ground, self.tb, self.ss, other, self.say, self.peer)

    # ------------------------------------------------------------ acts

    def begin(self):
        if self.row.role == "initiator":
            self.tb.up(self.row.name)
        else:
            self.ss.initiate(self.row.name, name=self.row.name)
        self.both_up()

    def both_up(self):
        self.tb.wait_up(self.row.name)
        self.ss.wait_up(name=self.row.name)
        # On a busy machine requests are repeated, and what a repetition began may still be on its way out.
        for side, ids in (("Twinbore", lambda what: self.tb.ids(self.row.name, what)),
                          ("strongSwan", lambda what: self.ss.ids(what, self.row.name))):
            for what in ("child", "ike"):
                until(f"{side} holds a single {what} SA", lambda: len(ids(what)) == 1)

    def reach(self):
        reach(*self.pairs)

    def flow(self, **kw):
        return Flow(*self.pairs, **{"interval_ms": self.peer.INTERVAL_MS, **kw})

    def rekey(self, side, what):
        """From one side; returns when both hold the new one alone."""
        name = self.row.name
        ours, theirs = self.tb.ids(name, what), self.ss.ids(what, name)
        if side == "ours":
            self.tb.call("rekey", tunnel=name, what=what)
        else:
            self.ss.ask_rekey(what, name)
        until(f"both hold another single {what} SA after a rekey by {side}",
              lambda: len(now := self.tb.ids(name, what)) == 1 and not now & ours and
              len(now := self.ss.ids(what, name)) == 1 and not now & theirs, step=0.01)

    def nothing_here(self):
        return not self.tb.ids(self.row.name) and not self.tb.ids(self.row.name, "ike")

    def end(self):
        """A delete by the row's ender reaches the other side."""
        if self.row.ender == "ours":
            self.tb.call("down", tunnel=self.row.name)
        else:
            self.ss.terminate(name=self.row.name)
            until("Twinbore's tunnel is down", lambda: not self.tb.tunnel(self.row.name)["up"])
            self.tb.call("down", tunnel=self.row.name)  # else it would try again and again
        self.ss.wait_down(name=self.row.name)
        until("Twinbore holds no SA of it", self.nothing_here)

    def abandon(self):
        """After a failure: nothing of this row may disturb the next."""
        self.tb.call("down", tunnel=self.row.name)
        self.ss.terminate(check=False, name=self.row.name)

    # ------------------------------------------------------------ judges

    def whole(self, flow):
        """Ends the flow: how many packets went by. None may be lost, or as few as the peer cannot help to lose."""
        if not self.peer.LOSSY_MS:
            return flow.lossless()
        report = flow.stop()
        lost = sum(r.lost for r in report)
        self.say(f"{lost} of {sum(r.sent for r in report)} lost")
        for r in report:
            if r.gap_ms > self.peer.LOSSY_MS or r.lost > r.sent / 20 or r.duplicated:
                raise LabError(f"{r.name}: {r.lost} of {r.sent} lost, {r.duplicated} duplicated, longest gap {r.gap_ms:.0f} ms")
        return sum(r.received for r in report)

    def chosen(self, rekeyed=False):
        """Both sides show the algorithms of the row; of the child's group only after a rekey."""
        row, name = self.row, self.row.name
        esp = (row.esp[0], row.esp[1], None) + ((row.esp[2], row.esp_kem) if rekeyed else (None, ""))
        ike, = self.tb.sas(name, "ike")
        child, = (s for s in self.tb.sas(name, "child") if s["state"] != "lingering")
        same("Twinbore's IKE SA", ike, {"suite": tables.shown_by_us(*row.ike, row.kem)})
        same("Twinbore's child", child, {"suite": tables.shown_by_us(*esp, esn=row.esn)})
        for side, wanted in (("auth_local", row.auth), ("auth_remote", row.their_auth or row.auth)):
            if not ike[side].startswith(AUTH_SHOWN.get(wanted, wanted)):
                raise LabError(f"{side} is {ike[side]!r} where it is to be {wanted}")
        if ike["ppk"] != (row.ppk == "both"):
            raise LabError(f"a PPK is in our keys: {ike['ppk']}")
        self.peer.chosen(self.ss, row, esp)
        for k in ("in_auth_failed", "in_replayed", "in_late", "in_ts_mismatch", "in_malformed"):
            if child[k]:
                raise LabError(f"{k} of the child is {child[k]}")

    # ------------------------------------------------------------ the row

    def run(self):
        self.begin()
        self.chosen()
        self.reach()
        with self.flow() as flow:
            for side in ("ours", "theirs"):
                for what in ("child", "ike"):
                    self.rekey(side, what)
            self.chosen(rekeyed=True)
            until("packets flow in every direction", flow.flows)
            self.n_packets = self.whole(flow)
        for step in self.row.steps:
            STEPS[step](self)
        self.end()


class Seen:
    """Context manager: all that passes on Twinbore's outer wire, judged row by row. What is written late belongs to
    the row whose addresses it has."""

    def __init__(self, ground):
        self.tail = wire.Tail(*ground.a.wire)
        self.ours = {self._packed(a) for a in ground.a.outside}
        self.rows = {self._packed(grounds.places(r).their_public): r for r in ground.rows}

    @staticmethod
    def _packed(address):
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)

    def __enter__(self):
        self.tail.__enter__()
        return self

    def judge(self, n_packets, forms, row=None, patience=5):
        """Nothing in clear since the last call; the packets of the flows went by as one of `forms`, and nothing in
        another form of ESP; long messages of IKE were cut by those that the row names. ESP without encryption
        shows what it carries, and must."""
        classes = collections.Counter()
        cut = {"ours": 0, "theirs": 0}
        null = bool(row and "gmac" in row.esp[0])
        stays = row and not set(row.steps) & set(MOVES)  # who moves may take another row's address

        def watched():
            for p in self.tail.more():
                of = next((self.rows[a] for a in wire.ends(p.data) if a in self.rows), row)
                if stays and of.name != row.name:
                    if "gmac" not in of.esp[0]:
                        wire.judge([p], patterns=grounds.INNER)
                    continue
                source, message = wire.ike_message(p.data)
                if message and message[16] == wire.SKF:
                    cut["ours" if source in self.ours else "theirs"] += 1
                if null and wire.classify(p.data)[0] in forms:
                    classes["readable"] += wire.MARKER in p.data
                    classes["esp" if "esp" in forms else "esp-in-udp"] += 1
                else:
                    yield p

        def all_there():
            classes.update(wire.judge(watched(), patterns=grounds.INNER))
            return sum(classes[f] for f in forms) >= n_packets

        try:
            until("all packets of the flow on the wire", all_there, patience)
        except LabError as e:
            raise LabError(f"{e}: {dict(classes)}, to be {n_packets} {' or '.join(forms)}") from None
        for other in {"esp", "esp-in-udp"} - set(forms):
            if classes[other]:
                raise LabError(f"on the wire are {classes[other]} {other} where all is to be {' or '.join(forms)}")
        if null and classes["readable"] < n_packets:
            raise LabError(f"{classes['readable']} packets of {n_packets} can be read, where ESP is to authenticate only")
        if row and row.fragments:
            for side, n in cut.items():
                if (n > 0) != (row.fragments in (side, "both")):
                    raise LabError(f"{n} fragments of IKE messages by {side}, where it is to be {row.fragments}")

    def skip(self):
        """What a failed row left is not held against the next."""
        for _ in self.tail.more():
            pass

    def __exit__(self, *exc):
        return self.tail.__exit__(*exc)


def width(rows, column):
    return max(len(r.cells()[column]) for r in rows)


def run_rows(tap, world, peer, rows, out):
    twins = [grounds.twin_of(r) for r in rows if "twin" in r.steps]
    for n, row in enumerate(rows + twins):
        row.number = n
    ground = grounds.Ground(world, rows + twins, kernel=peer.KERNEL)
    tb = Twinbore(ground.a)
    keys = Keys(world, sorted({k for k in map(kind_of, ground.rows) if k}))
    grounds.configure_ours(tb, ground, keys)
    widths = [max(width(rows, n), len(c)) for n, c in enumerate(tables.Row.COLUMNS)]

    def line(cells):
        return "  ".join(c.ljust(w) for c, w in zip(cells, widths))

    with wire.Guard(*ground.wires), Seen(ground) as seen, \
            peer.serve(ground, keys) as ss, tb:
        tap.say("         " + line(tables.Row.COLUMNS))
        for row in rows:
            started = time.monotonic()
            trial = None
            with tap.case(line(row.cells())) as say:
                trial = Trial(ground, tb, ss, row, say, peer)
                trial.run()
                seen.judge(trial.n_packets, peer.forms(row), row)
            if not tap.last_ok:
                trial.abandon()
                seen.skip()
            if out:
                print(json.dumps(dict(zip(row.COLUMNS, row.cells()), ok=tap.last_ok, packets=trial.n_packets,
                                      seconds=round(time.monotonic() - started, 2))), file=out, flush=True)
        with tap.case("no process was restarted"):
            assert all(n == 0 for _, n in tb.restarts().values()), tb.restarts()
    if tap.n_failed:
        tap.say(tb.log[-3000:])


def main():
    options = argparse.ArgumentParser(description="Twinbore and strongSwan, one row a case.")
    options.add_argument("--full", action="store_true", default=bool(os.environ.get("TWINBORE_FULL")))
    options.add_argument("--peer", choices=PEERS, default="userspace")
    options.add_argument("--list", action="store_true")
    options.add_argument("--json", metavar="FILE")
    options.add_argument("names", nargs="*", metavar="NAME")
    o = options.parse_args()
    rows = tables.table(o.peer, o.full)
    peer = PEERS[o.peer]
    if o.names:
        for n in o.names:
            if not any(fnmatch.fnmatch(r.name, n) for r in rows):
                options.error(f"no row is called '{n}'; --list prints them (with --full, the rows of the large table too)")
        rows = [r for r in rows if any(fnmatch.fnmatch(r.name, n) for n in o.names)]
    if o.list:
        widths = [max(width(rows, n), len(c)) for n, c in enumerate(tables.Row.COLUMNS)]
        for cells in [tables.Row.COLUMNS] + [r.cells() for r in rows]:
            print("  ".join(c.ljust(w) for c, w in zip(cells, widths)).rstrip())
        print(f"{len(rows)} rows")
        return 0
    need("ip", "nft", "ethtool", "tcpdump", "openssl", *peer.NEEDS)
    tap = Tap()
    with open(o.json or os.devnull, "w") as out:
        for first in range(0, len(rows), grounds.MOST_ROWS):
            batch = rows[first:first + grounds.MOST_ROWS]
            with World("matrix") as tap.world:
                run_rows(tap, tap.world, peer, batch, out)
                if tap.n_failed:
                    tap.say(f"logs: {tap.world.dir}")
    tap.world = None
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
