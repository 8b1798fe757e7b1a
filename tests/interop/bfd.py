#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The BFD core (tests/bfd/speaker.c) against BIRD's and FRR's: single hop and multihop, IPv4 and IPv6; a row a case.
What is measured is told and asserted generously: the machine may be busy.

usage: bfd.py [--full] [--list] [PEER:HOPS:FAMILY...]

A name picks scenes; * stands for anything. --full (or TWINBORE_FULL=1) takes them all."""

import argparse
import dataclasses
import fnmatch
import functools
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Namespace, Tap, link, need, until  # noqa: E402

import plays  # noqa: E402
from bgp_bird import Bird  # noqa: E402
from bgp_frr import Frr  # noqa: E402
from bgp_peer import LINK, OURS, THEIRS  # noqa: E402

SPEAKER = Path(os.environ["TWINBORE_BUILD"]) / "tests" / "bfd" / "bfd_speaker"
FAR = {4: "198.51.100.2", 6: "fd01::2"}
ROUTER_NEAR, ROUTER_FAR = {4: "192.0.2.254", 6: "fd00::fe"}, {4: "198.51.100.254", 6: "fd01::fe"}
LENGTH = {4: 24, 6: 64}
SLOW, PATIENT = 200, 20  # ms, and a multiplier: where a machine that stands still for a second is not to disturb
ECHO_PORT = 3785


@dataclasses.dataclass(frozen=True)
class Spec:
    family: int
    multihop: bool
    ms: int
    multiplier: int = 3
    echo: bool = False

    @property
    def ours(self):
        return (FAR if self.multihop else OURS)[self.family]

    @property
    def theirs(self):
        return THEIRS[self.family]


class BirdBfd(Bird):
    def start(self):
        s = self.spec
        self.configure(s.ms, self.daemon)
        self.echoes = False

    def configure(self, ms, give):
        s = self.spec
        timers = f"min rx interval {ms} ms; min tx interval {ms} ms; idle tx interval 1 s; multiplier {s.multiplier};"
        if s.multihop:
            lines = f"multihop {{ {timers} }}; neighbor {s.ours} local {s.theirs} multihop yes;"
        else:
            lines = f'interface "{LINK}" {{ {timers} }}; neighbor {s.ours} dev "{LINK}" local {s.theirs};'
        give(f'router id 192.0.2.1; log "{self.dir}/log" all;\nprotocol device {{ scan time 1; }}\n'
             f"protocol bfd watch {{ {lines} }}\n")

    def state(self):
        """State, interval, detection time in ms."""
        m = re.search(rf"{self.spec.ours}\s+\S+\s+(\w+)\s+\S+\s+([\d.]+)\s+([\d.]+)", self.ask("show", "bfd", "sessions"))
        return (m[1].lower(), round(float(m[2]) * 1000), round(float(m[3]) * 1000)) if m else ("", 0, 0)

    def retime(self, ms):
        self.configure(ms, lambda text: self.write("bird.conf", text))
        self.ask("configure")


class FrrBfd(Frr):
    # It tells an AdminDown of its own, as BIRD does not.
    def start(self):
        s = self.spec
        self.daemons({"zebra": [], "bfdd": ["bfd", f" peer {self.whom()}", f"  detect-multiplier {s.multiplier}",
                                            f"  receive-interval {s.ms}", f"  transmit-interval {s.ms}",
                                            *(["  echo-mode"] if s.echo else []), " exit", "exit"]})

    def whom(self):
        s = self.spec
        if s.multihop:
            return f"{s.ours} multihop local-address {s.theirs}"
        return f"{s.ours} local-address {s.theirs} interface {LINK}"

    def shown(self):
        peers = self.show("show bfd peers")
        return peers[0] if peers else {}

    def state(self):
        p = self.shown()
        tx = max(p.get("transmit-interval", 0), p.get("remote-receive-interval", 0))
        rx = max(p.get("receive-interval", 0), p.get("remote-transmit-interval", 0))
        return p.get("status", ""), tx, rx * p.get("remote-detect-multiplier", 0)

    def set(self, *lines):
        self.ask("configure terminal", "bfd", f"peer {self.whom()}", *lines)

    def retime(self, ms):
        self.set(f"receive-interval {ms}", f"transmit-interval {ms}")


KINDS = {"bird": BirdBfd, "frr": FrrBfd}


class Us:
    def __init__(self, stage, spec):
        self.fifo = stage.world.dir / f"commands{stage.world.serial()}"
        os.mkfifo(self.fifo)
        self.process = stage.world.spawn(
            [SPEAKER, spec.ours, spec.theirs, spec.ms, spec.ms, spec.multiplier,
             *(["--multihop"] if spec.multihop else []), "--commands", self.fifo], stage.ours)

    def tell(self, line):
        with open(self.fifo, "w", encoding="ascii") as f:
            f.write(line + "\n")

    @property
    def lines(self):
        return self.process.text.splitlines()

    def changes(self, to=""):
        return [m for m in (re.match(r"(\w+) -> (\w+) \((.*)\) at ([\d.]+), silent ([\d.]+)(.*)", x) for x in self.lines)
                if m and m[2].startswith(to)]

    def state(self):
        c = self.changes()
        return c[-1][2] if c else "Down"

    def timers(self):
        m = re.findall(r"^timers tx (\d+) detection (\d+)$", self.process.text, re.M)
        return tuple(map(int, m[-1])) if m else (0, 0)

    def show(self):
        n = sum(x.startswith("show") for x in self.lines)
        self.tell("show")
        return until("what ours shows", lambda: [x for x in self.lines if x.startswith("show")][n:])[0]


class Stage(plays.Stage):
    def __init__(self, world, kind, multihop, family):
        super().__init__(world)
        self.kind, self.multihop, self.family = kind, multihop, family
        self.us = self.peer = None
        self.theirs, self.ours = Namespace(world, "theirs"), Namespace(world, "ours")
        if multihop:
            router = Namespace(world, "router", forward=True)
            link(self.theirs, LINK, router, "near")
            link(router, "far", self.ours, "up1")
            self.join(router, "near", ROUTER_NEAR)
            self.join(router, "far", ROUTER_FAR)
            self.join(self.theirs, LINK, THEIRS, ROUTER_NEAR)
            self.join(self.ours, "up1", FAR, ROUTER_FAR)
        else:
            link(self.theirs, LINK, self.ours, "up1")
            self.join(self.theirs, LINK, THEIRS)
            self.join(self.ours, "up1", OURS)

    def join(self, ns, ifname, address, gateway=None):
        ns.address(ifname, f"{address[self.family]}/{LENGTH[self.family]}")
        if gateway:
            ns.route("default", gateway[self.family])

    def lines(self):
        return self.us.lines if self.us else []

    def begin(self, ms, **kw):
        if self.peer:
            self.peer.end()
            self.us.process.stop()
        spec = Spec(self.family, self.multihop, ms, **kw)
        self.peer, self.us = self.kind(self.world, self.theirs, spec), Us(self, spec)
        self.wait_up()

    def wait_up(self):
        until("ours is up", lambda: self.us.state() == "Up", 20)
        until("theirs is up", lambda: self.peer.state()[0] == "up", 20)

    def cut(self):
        self.ours.nft("table inet cut { chain in { type filter hook input priority 0; drop; }; "
                      "chain out { type filter hook output priority 0; drop; }; }")

    def heal(self):
        self.ours.nft("delete table inet cut")


def agreed(stage, tx, detection, theirs=None):
    """Both sides go by these intervals, in milliseconds."""
    until(f"ours by {tx} and {detection} ms", lambda: stage.us.timers() == (tx, detection))
    wanted = theirs or (tx, detection)
    until(f"theirs by {wanted[0]} and {wanted[1]} ms", lambda: stage.peer.state()[1:] == wanted)


def silence(stage, ms, say):
    """Cut on both ways: each side finds out for itself."""
    detection = 3 * ms
    n, begun = len(stage.us.changes("Down")), time.monotonic()
    stage.cut()
    down = until("ours is down", lambda: stage.us.changes("Down")[n:], 10)[0]
    say(f"ours after {float(down[5]):.0f} ms without a packet (detection time {detection})")
    if down[3] != "control detection time expired" or float(down[5]) < detection:
        raise LabError(down[0])
    until("theirs is down", lambda: stage.peer.state()[0] != "up", 10)
    say(f"theirs within {(time.monotonic() - begun) * 1000:.0f} ms of the cut")
    stage.heal()
    stage.wait_up()


def scene(stage):
    with stage.row("up at 50 ms x 3, both sides agree", vital=True):
        stage.begin(50)
        agreed(stage, 50, 150)
    with stage.row("down by silence, up again") as say:
        silence(stage, 50, say)
    with stage.row("no packet was refused"):
        line = stage.us.show()
        # Of a peer that has forgotten us, or we it, a packet may have been on its way.
        if re.search(r"(ttl|too-short|version|length|multiplier|multipoint|authentication)", line):
            raise LabError(line)
    with stage.row("up with more patience"):
        stage.begin(50, multiplier=PATIENT)
    with stage.row("administratively down by us: the peer knows that it is no failure"):
        stage.us.tell("admin-down")
        until("theirs", lambda: stage.peer.state()[0] != "up")
        if isinstance(stage.peer, FrrBfd):
            said = stage.peer.shown()
            if said.get("remote-diagnostic") != "administratively down" and said.get("diagnostic") != "neighbor signaled session down":
                raise LabError(said)
        stage.us.tell("admin-up")
        stage.wait_up()
    if isinstance(stage.peer, FrrBfd):
        with stage.row("administratively down by the peer: told as no failure"):
            n = len(stage.us.changes("Down"))
            stage.peer.set("shutdown")
            down = until("ours", lambda: stage.us.changes("Down")[n:])[0]
            if down[6] != " peer admin down":
                raise LabError(down[0])
            stage.peer.set("no shutdown")
            stage.wait_up()
    with stage.row("the path beneath is gone, says our side: told at once"):
        n, downs = len(stage.us.changes("Up")), len(stage.us.changes("Down"))
        stage.us.tell("path-down")
        until("both met anew", lambda: stage.us.changes("Up")[n:])
        if not any("(path down)" in c[0] for c in stage.us.changes("Down")[downs:]):
            raise LabError(stage.us.changes("Down")[-1][0])
        stage.wait_up()
    with stage.row("intervals changed by us, without a fall (Poll and Final)"):
        stage.begin(SLOW, multiplier=PATIENT)
        agreed(stage, SLOW, PATIENT * SLOW)
        ups = len(stage.us.changes("Up"))
        stage.us.tell(f"timers {2 * SLOW} {2 * SLOW}")
        agreed(stage, 2 * SLOW, PATIENT * 2 * SLOW)
        stage.us.tell("timers 100 100")
        agreed(stage, SLOW, PATIENT * SLOW)
        if len(stage.us.changes("Up")) != ups:
            raise LabError("the session fell")
    with stage.row("intervals changed by the peer, without a fall"):
        ups = len(stage.us.changes("Up"))
        stage.peer.retime(100)
        agreed(stage, 100, PATIENT * 100)
        stage.peer.retime(2 * SLOW)
        agreed(stage, 2 * SLOW, PATIENT * 2 * SLOW)
        if len(stage.us.changes("Up")) != ups:
            raise LabError("the session fell")
    if isinstance(stage.peer, FrrBfd) and not stage.multihop:
        with stage.row("echo that the peer would like: none comes, the session stands"):
            stage.ours.nft(f"""table inet echo {{ chain in {{
                type filter hook input priority 0
                udp dport {ECHO_PORT} counter
            }}
            }}
            """)
            stage.begin(SLOW, multiplier=PATIENT, echo=True)
            time.sleep(1)
            counted = stage.ours.run(["nft", "list", "table", "inet", "echo"]).stdout
            if "packets 0 " not in counted or stage.us.state() != "Up":
                raise LabError(counted)
    with stage.row("10 ms x 3: up, down by silence") as say:
        stage.begin(10)
        agreed(stage, 10, 30)
        begun, ups = time.monotonic(), len(stage.us.changes("Up"))
        silence(stage, 10, say)
        say(f"{len(stage.us.changes('Up')) - ups - 1} other falls in {time.monotonic() - begun:.1f} s")


DEFAULT = ("bird:single:4", "frr:single:6", "bird:multi:6", "frr:multi:4")


def main():
    options = argparse.ArgumentParser(description="Our BFD core and two others.")
    options.add_argument("--full", action="store_true", default=bool(os.environ.get("TWINBORE_FULL")))
    options.add_argument("--list", action="store_true")
    options.add_argument("names", nargs="*", metavar="PEER:HOPS:FAMILY")
    o = options.parse_args()
    every = [f"{k}:{h}:{f}" for k in KINDS for h in ("single", "multi") for f in (4, 6)]
    wanted = [e for e in every if o.full or e in DEFAULT] if not o.names else \
        [e for e in every if any(fnmatch.fnmatch(e, n) for n in o.names)]
    if o.list:
        print("\n".join(wanted))
        return 0
    need("ip", "nft", *Bird.NEEDS, *Frr.NEEDS)
    table = []
    for e in wanted:
        kind, hops, family = e.split(":")
        make = functools.partial(Stage, kind=KINDS[kind], multihop=hops == "multi", family=int(family))
        table.append((f"{kind:<5} {hops:<6} IPv{family} ", "bfd", make, scene))
    return plays.run(Tap(), table)


if __name__ == "__main__":
    sys.exit(main())
