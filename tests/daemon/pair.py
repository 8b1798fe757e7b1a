# SPDX-License-Identifier: Apache-2.0
"""Two gateways' daemons over a veth pair, each with a dataplane that forwards nothing.

What IKE agreed on is seen in what the two dataplanes are told: the same keys, crosswise."""

import os
import re
import signal
import subprocess
import sys
import time

from gateway import AskError, Gateway, wait_for

PROGRAM, FAKE_DP = "", ""
# Of this run alone: several may go on at once.
SPACES = ("twd%d-a" % os.getpid(), "twd%d-b" % os.getpid())


def ip(*words):
    subprocess.run(["ip"] + list(words), check=True)


class Net:
    """Two namespaces with one wire; 192.0.2.1 and 192.0.2.2, 2001:db8::1 and ::2."""

    def __enter__(self):
        self.__exit__(None, None, None)
        for n in SPACES:
            ip("netns", "add", n)
            ip("-n", n, "link", "set", "lo", "up")
        ip("link", "add", "wan", "netns", SPACES[0], "type", "veth",
           "peer", "name", "wan", "netns", SPACES[1])
        for i, n in enumerate(SPACES):
            ip("-n", n, "addr", "add", "192.0.2.%d/24" % (i + 1), "dev", "wan")
            ip("-n", n, "addr", "add", "2001:db8::%d/64" % (i + 1), "dev", "wan", "nodad")
            ip("-n", n, "link", "set", "wan", "up")
        return self

    def __exit__(self, kind, value, traceback):
        for n in SPACES:
            subprocess.run(["ip", "netns", "del", n], stderr=subprocess.DEVNULL, check=False)


def gateway(name, space):
    return Gateway(PROGRAM, FAKE_DP, name, space)


class Pair:
    """Site a initiates, site b answers; mirrored configurations."""

    def __init__(self, v6=False, a_more="", b_more=""):
        self.a = gateway("a", SPACES[0])
        self.b = gateway("b", SPACES[1])
        self.v6, self.a_more, self.b_more = v6, a_more, b_more
        self.write()

    def write(self):
        ends = ("2001:db8::1", "2001:db8::2") if self.v6 else ("192.0.2.1", "192.0.2.2")
        nets = ("10.1.0.0/24, 2001:db8:1::/64", "10.2.0.0/24, 2001:db8:2::/64")
        for gw, i, startup, more in ((self.a, 0, "start", self.a_more),
                                     (self.b, 1, "add", self.b_more)):
            text = gw.config(local=ends[i], remote=ends[1 - i], startup=startup,
                             local_network=nets[i], remote_network=nets[1 - i], dpd="1s",
                             extra=more)
            gw.write_config(text.replace(ends[i] + "/24", ends[i] + "/64") if self.v6 else text)

    def __enter__(self):
        # The one that answers first: the initiator's first message finds it.
        self.b.start()
        self.a.start()
        return self

    def __exit__(self, kind, value, traceback):
        for gw in (self.a, self.b):
            gw.__exit__(kind, value, traceback)

    def up(self, seconds=10):
        wait_for("both sides up", lambda: all(is_up(g) for g in (self.a, self.b)), seconds)

    def stop(self):
        assert self.a.stop() == 0
        assert self.b.stop() == 0


def is_up(gw, tunnel="t1"):
    try:
        return [t for t in gw.ask("show.tunnels")["tunnels"] if t["name"] == tunnel][0]["up"]
    except (AskError, OSError, ValueError):
        return False


def sas(gw, kind):
    return [s for s in gw.ask("show.sas")["sas"] if s["kind"] == kind]


def keys(gw, what):
    """SPI: key of all halves that the dataplane was ever told of."""
    return dict(re.search(r"spi=(\w+) .*key=(\w+)", line).groups()
                for line in gw.dp_log() if line.startswith(what + " "))


def current_slot(gw):
    return [line for line in gw.dp_log() if line.startswith("sa-switch ")][-1].split()[1]


def assert_crosswise(pair):
    """What one sends with the other receives with: the same SPI, the same key. Who answers has its half a moment
    before who asked."""
    def crosswise(x, y):
        out = keys(x, "sa-add-out")
        return out and set(out.items()) <= set(keys(y, "sa-add-in").items())

    for x, y in ((pair.a, pair.b), (pair.b, pair.a)):
        wait_for("what %s sends with at the other end" % x.name, lambda x=x, y=y: crosswise(x, y))


def kill_ike(gw):
    """Kills the ike process outright; returns when the next one answers for its tunnels."""
    old = gw.pids()["ike"]
    os.kill(old, signal.SIGKILL)
    wait_for("a new ike", lambda: gw.pids().get("ike", old) != old, 20)
    wait_for("its tunnels", lambda: is_up(gw), 20)


def spis(gw):
    """Every SA, by the numbers that its two ends agreed on."""
    return sorted((s["kind"], s.get("spi_i") or s["spi_in"], s.get("spi_r") or s["spi_out"])
                  for s in gw.ask("show.sas")["sas"])


def run(cases):
    """Those named on the command line, else all: test_FILE.py TWINBORED FAKE_DP [CASE...]."""
    global PROGRAM, FAKE_DP
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    PROGRAM, FAKE_DP = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    wanted = sys.argv[3:]
    for name, case in cases.items():
        if not name.startswith("case_") or (wanted and name[5:] not in wanted):
            continue
        begun = time.monotonic()
        with Net():
            case()
        print("ok %s (%.1f s)" % (name[5:], time.monotonic() - begun), flush=True)
    return 0
