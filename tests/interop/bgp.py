#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The BGP and BFD cores against BIRD 2, over one link: sessions from either side, routes of both families
both ways, refresh, graceful restart, notifications, and a path that is cut silently.

Usage: bgp.py      (TWINBORE_BUILD: the build folder)"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until  # noqa: E402
from lab.net import Namespace, link  # noqa: E402

OURS, THEIRS = "192.0.2.2", "192.0.2.1"
SPEAKER = Path(os.environ["TWINBORE_BUILD"]) / "tests" / "bgp" / "bgp_speaker"
CONFIG = """
router id {theirs};
log "{dir}/bird.log" all;
protocol device {{ scan time 1; }}
protocol static s4 {{ ipv4; route 10.10.0.0/16 blackhole; route 10.11.0.0/16 blackhole; }}
protocol static s6 {{ ipv6; route 2001:db8:a::/48 blackhole; }}
protocol bfd {{ interface "up0" {{ min rx interval 50 ms; min tx interval 50 ms; multiplier 3; }}; }}
protocol bgp peer {{
    local {theirs} as 4200000001; neighbor {ours} as 65001; {passive} bfd on; graceful restart on;
    connect retry time 1; connect delay time 1; error wait time 1,2; hold time 30;
    ipv4 {{ import all; export all; }};
    ipv6 {{ import all; export all; next hop address fd00::1; }};
}}
"""


class Bird:
    def __init__(self, world, ns, passive=False):
        self.socket = world.dir / "bird.ctl"
        config = world.dir / "bird.conf"
        config.write_text(CONFIG.format(dir=world.dir, ours=OURS, theirs=THEIRS,
                                        passive="passive on;" if passive else ""))
        self.process = world.spawn(["bird", "-f", "-c", config, "-s", self.socket], ns, "bird")
        until("BIRD's socket", self.socket.exists)

    def ask(self, *words):
        return subprocess.run(["birdc", "-s", str(self.socket), *words], check=True, capture_output=True,
                              text=True).stdout

    @property
    def up(self):
        return "Established" in self.ask("show", "protocols", "peer")

    def has(self, prefix):
        table = "master6" if ":" in prefix else "master4"
        return prefix in self.ask("show", "route", "protocol", "peer", "table", table)


class Speaker:
    def __init__(self, world, ns, *options):
        self.fifo = world.dir / "commands"
        if not self.fifo.exists():
            os.mkfifo(self.fifo)
        self.world = world
        self.process = world.spawn([SPEAKER, OURS, THEIRS, "65001", "4200000001", "--bfd", "50", "--restart", "20",
                                    "--commands", self.fifo, *options], ns)

    def tell(self, line):
        with open(self.fifo, "w", encoding="ascii") as f:
            f.write(line + "\n")

    @property
    def lines(self):
        return self.process.text.splitlines()

    def count(self, line):
        return sum(x.startswith(line) for x in self.lines)

    def wait(self, line, n=1, timeout=20):
        until(f"{n} times \"{line}\" of ours", lambda: self.count(line) >= n, timeout)


def two_ends(world):
    theirs, ours = Namespace(world, "bird"), Namespace(world, "ours")
    link(theirs, "up0", ours, "up1")
    theirs.address("up0", f"{THEIRS}/24", "fd00::1/64")
    ours.address("up1", f"{OURS}/24", "fd00::2/64")
    return theirs, ours


def main():
    need("bird", "birdc", "ip")
    with World("bgp") as world:
        tap = Tap(world)
        theirs, ours = two_ends(world)
        bird = Bird(world, theirs)
        us = Speaker(world, ours, "10.20.0.0/16", "2001:db8:b::/48")

        with tap.case("a session, whoever connects first"):
            us.wait("up")
            until("BIRD's session", lambda: bird.up)
        with tap.case("routes of both families, both ways"):
            us.wait("announce 10.10.0.0/16 as 4200000001 next-hop 192.0.2.1")
            us.wait("announce 2001:db8:a::/48 as 4200000001 next-hop fd00::1")
            us.wait("end-of-rib 0")
            us.wait("end-of-rib 1")
            until("our routes in BIRD", lambda: bird.has("10.20.0.0/16") and bird.has("2001:db8:b::/48"))
        with tap.case("a route later, and one taken back"):
            us.tell("advertise 10.21.0.0/16")
            until("the new route", lambda: bird.has("10.21.0.0/16"))
            us.tell("withdraw 10.20.0.0/16")
            until("the old one gone", lambda: not bird.has("10.20.0.0/16"))
            bird.ask("disable", "s6")
            us.wait("withdraw 2001:db8:a::/48")
            bird.ask("enable", "s6")
            us.wait("announce 2001:db8:a::/48", 2)
        with tap.case("refresh, asked by either side"):
            before = us.count("announce 10.10.0.0/16")
            us.tell("refresh")
            us.wait("announce 10.10.0.0/16", before + 1)
            us.wait("purge 0 stale")
            bird.ask("reload", "in", "peer")
            time.sleep(0.5)
            assert bird.up and bird.has("10.21.0.0/16")
        with tap.case("BFD is up at 50 ms"):
            us.wait("bfd Up")
            shown = bird.ask("show", "bfd", "sessions")
            assert re.search(rf"{OURS}\s+\S+\s+Up\s+\S+\s+0\.050", shown), shown
        with tap.case("a path cut silently") as say:
            n, begun = us.count("bfd Down"), time.monotonic()
            ours.nft("table ip cut { chain in { type filter hook input priority 0; drop; }; "
                     "chain out { type filter hook output priority 0; drop; }; }")
            us.wait("bfd Down", n + 1)
            say(f"{(time.monotonic() - begun) * 1000:.0f} ms to BFD down, with the time of nft")
            us.wait("event bgp-down: BFD is down")
            us.wait("purge 0", 2)
            ours.nft("delete table ip cut")
            us.wait("event bgp-up", 2, 30)
            until("BIRD's session", lambda: bird.up)
        with tap.case("our shutdown with a text"):
            n = us.count("event bgp-up")
            us.tell("stop maintenance until six")
            until("BIRD's view", lambda: "Administrative shutdown" in bird.ask("show", "protocols", "all", "peer"))
            us.tell("start")
            us.wait("event bgp-up", n + 1, 30)
            until("BIRD's session", lambda: bird.up)
        with tap.case("its reset"):
            ups, downs = us.count("event bgp-up"), us.count("event bgp-down")
            # What comes first, the NOTIFICATION or the end of BFD, is chance.
            bird.ask("restart", "peer")
            us.wait("event bgp-down", downs + 1)
            us.wait("event bgp-up", ups + 1, 30)
            until("BIRD's session", lambda: bird.up)
        with tap.case("its crash and return: routes are kept until then"):
            until("BFD", lambda: [x for x in us.lines if x.startswith("bfd")][-1].startswith("bfd Up"))
            ups, stale, purged = us.count("event bgp-up"), us.count("stale 0"), us.count("purge 0")
            bird.process.kick(signal.SIGKILL)
            us.wait("stale 0", stale + 1)
            us.wait("event bgp-down: connection closed")
            assert us.count("purge 0") == purged, "the routes went with the connection"
            bird = Bird(world, theirs)
            us.wait("event bgp-up", ups + 1, 30)
            us.wait("announce 10.10.0.0/16", 2)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
