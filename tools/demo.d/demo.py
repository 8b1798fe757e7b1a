#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: two sites, one connection, two tunnels. Started by tools/demo."""

import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests")]

import screen  # noqa: E402
from lab import LabError, World, cut, heal, until, wire  # noqa: E402
from lab.fetch import Server  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, program, wait_both_up  # noqa: E402
from lab.world import Interrupted  # noqa: E402

DPD = {"interval": "150ms", "timeout": "600ms", "action": "restart"}
FILE_SIZE = 256 << 20
FAILOVER_LIMIT_MS = 2000
SPACING_MS = 5

PICTURE = """
                        tunnel 1: 192.0.2.1 = 198.51.100.1
host-a ----- gw-a ======================================== gw-b ----- host-b
10.1.0.10    Twinbore ==================================== Twinbore   10.2.0.10
                        tunnel 2: 192.0.2.1 = 198.51.100.2
"""


def bits(rate):
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if rate < 1000:
            return f"{rate:.0f} {unit}"
        rate /= 1000
    return f"{rate:.2f} Gbit/s"


class Demo:
    def __init__(self, world):
        self.world = world
        self.sites = two_sites(world)
        self.a, self.b = self.sites.a, self.sites.b
        self.p = pair(self.sites, tunnels=2, dpd=DPD)
        self.first, self.second = self.p.names_a
        self.ok = True
        self.result = {"transfer_ok": False, "rekey_lost": None, "failover_ms": None, "failover_lost": None}

    def check(self, good, text):
        self.ok = self.ok and bool(good)
        screen.result(good, text)

    def shown(self, *words):
        screen.command("twinbore " + " ".join(words))
        screen.show(self.p.a.cli(*words, as_json=False).stdout)

    def status_lines(self):
        s = self.p.a.status()
        rates = s["rates"]
        lines = [f"{s['gateway']}: {s['state']}, {s['tunnels_up']} of {s['tunnels_configured']} tunnels up; "
                 f"in {bits(rates['in_bps'])} ({rates['in_pps']:.0f}/s), "
                 f"out {bits(rates['out_bps'])} ({rates['out_pps']:.0f}/s)"]
        for t in self.p.a.call("show.tunnels")["tunnels"]:
            mark = "carries the traffic" if t["active"] else ""
            lines.append(f"  {t['name']:10} {t['phase']:11} in {t['in_packets']:>9} packets  "
                         f"out {t['out_packets']:>9}  {mark}")
        return lines

    def live(self, running):
        """Draws the status until running() is false."""
        live = screen.Live()
        while running():
            lines = self.status_lines()
            live.draw(lines, lines[0])
            time.sleep(0.25)

    # ----------------------------------------------------------- steps

    def start(self):
        screen.title("Two sites")
        screen.show(PICTURE)
        screen.say("Every box is a network namespace of this machine, every line a virtual cable. The gateways take "
                   "over their interfaces with DPDK; a router between them is the outside world, and tcpdump listens "
                   "there for as long as the demonstration runs.")
        self.p.a.start()
        self.p.b.start()
        began = time.monotonic()
        wait_both_up(self.p)
        self.p.a.wait_active(self.b.name, self.first)
        self.p.b.wait_active(self.a.name, self.p.names_b[0])
        until("the hosts talk", lambda: ping(self.a.host, self.a.host4, self.b.host4, tries=1), 10)
        self.check(True, f"both tunnels are up, the hosts talk (after {time.monotonic() - began:.1f} s)")
        self.shown("status")
        self.shown("show", "tunnels")
        self.shown("show", "sas")

    def transfers(self):
        screen.title("Transfers")
        screen.say(f"host-a fetches a file of {FILE_SIZE >> 20} MiB from host-b over HTTP, through the tunnel, and "
                   "compares its SHA-256. Then iperf3 measures TCP in both directions.")
        with wire.Capture(*self.a.wire, count=20000) as capture, Server(self.b.host, self.b.host4) as server:
            got = server.fetch(self.a.host, FILE_SIZE)
            classes = wire.judge(capture.stop().packets(), self.sites.inner)
        self.check(got.ok, f"the file is whole: {got.seconds:.1f} s, {bits(got.mbps * 1e6)}")
        encrypted = classes["esp"] + classes["esp-in-udp"]
        self.check(encrypted > 10000, f"on the wire, of {classes.total()} packets looked at {encrypted} were ESP; "
                   "none held a byte of the file, none an inner address")
        good = got.ok
        iperf = self.b.host.spawn(["iperf3", "-s", "-B", self.b.host4], "iperf3-server")
        time.sleep(0.3)
        for name, options in (("host-a to host-b", []), ("host-b to host-a", ["-R"])):
            client = self.a.host.spawn(["iperf3", "-c", self.b.host4, "-t", "4", "-J", *options], "iperf3")
            self.live(lambda: client.running)
            try:
                rate = json.loads(client.out.read_text())["end"]["sum_received"]["bits_per_second"]
            except (ValueError, KeyError) as e:
                raise LabError(f"iperf3 gave no result: {client.text[-400:]}") from e
            good = good and rate > 0
            self.check(rate > 0, f"TCP, {name}: {bits(rate)}")
        iperf.stop()
        self.result["transfer_ok"] = bool(good)

    def rekeys(self):
        screen.title("Rekeys under traffic")
        screen.say(f"A packet every {SPACING_MS} ms goes from host-a to host-b and back. Meanwhile the child SA is "
                   "made anew five times by either side, and the IKE SA once by either side. The new keys accept "
                   "before the old ones stop, so nothing may be lost.")
        a, b = self.a, self.b
        with Stream(a.host, a.host4, b.host, b.host4, SPACING_MS) as stream:
            for gw, name in ((self.p.a, self.first), (self.p.b, self.p.names_b[0])):
                for what in ("child",) * 5 + ("ike",):
                    gw.rekey(name, what)
                    time.sleep(0.1)
            report = stream.stop()
        self.result["rekey_lost"] = report.lost
        self.check(report.lost == 0, f"12 rekeys, {report.sent} packets sent, {report.lost} lost; "
                   f"longest time without one {report.gap_ms:.0f} ms")

    def failover(self):
        screen.title("Tunnel 1 is cut")
        screen.say("The router now drops everything from and to 198.51.100.1, without a word to anybody: no link "
                   "goes down, no error comes back. Only dead peer detection can notice: a probe every "
                   f"{DPD['interval']}, given up after {DPD['timeout']} of silence.")
        a, b = self.a, self.b
        with Stream(a.host, a.host4, b.host, b.host4, SPACING_MS) as stream:
            time.sleep(0.5)
            cut(self.sites.wan, b.public[0])
            self.p.a.wait_active(b.name, self.second, 10)
            self.p.b.wait_active(a.name, self.p.names_b[1], 10)
            time.sleep(0.7)
            report = stream.stop()
        self.result["failover_ms"] = round(report.gap_ms)
        self.result["failover_lost"] = report.lost
        self.check(report.gap_ms <= FAILOVER_LIMIT_MS and report.received > 0,
                   f"traffic moved to tunnel 2: {report.gap_ms:.0f} ms without traffic, {report.lost} packets of "
                   f"{report.sent} lost")
        self.shown("show", "connections")

        screen.title("The path returns")
        with Stream(a.host, a.host4, b.host, b.host4, SPACING_MS) as stream:
            heal(self.sites.wan)
            self.p.a.wait_active(b.name, self.first, 30)
            self.p.b.wait_active(a.name, self.p.names_b[0], 30)
            time.sleep(0.5)
            report = stream.stop()
        self.check(report.lost == 0, f"tunnel 1 was negotiated anew and carries again: {report.lost} packets of "
                   f"{report.sent} lost")
        self.shown("status")

    def run(self):
        with wire.Guard(*self.sites.wires):
            self.start()
            self.transfers()
            self.rekeys()
            self.failover()
        self.check(True, "in all that time nothing was on the wire but ARP, neighbour discovery, IKE and ESP")

    def how_to_enter(self):
        screen.title("It runs on")
        screen.say("Everything stays as it is until you press Ctrl-C. In another terminal, as root:")
        print()
        tool = f"{program('twinbore')} --socket {self.p.a.socket}"
        for what, line in (("the gateway of site a", f"{tool} status"),
                           ("its events", f"{tool} events --follow"),
                           ("a shell on host-a", f"ip netns exec {self.a.host.full} bash"),
                           ("through the tunnel", f"ip netns exec {self.a.host.full} ping {self.b.host4}"),
                           ("the wire", f"ip netns exec {self.sites.wan.full} tcpdump -Z root -ni {self.a.wan_if}"),
                           ("the configuration", f"cat {self.p.a.path}")):
            print(f"  # {what}\n  {line}")
        print(flush=True)
        while True:
            time.sleep(3600)


def main():
    check, keep = "--check" in sys.argv, "--keep" in sys.argv
    demo, status = None, 1
    try:
        with World("demo") as world:
            demo = Demo(world)
            try:
                demo.run()
                if not demo.ok:
                    world.failed()
                if keep:
                    demo.how_to_enter()
            except LabError as e:
                demo.ok = False
                world.failed()
                screen.result(False, str(e))
        status = 0 if demo.ok else 1
        if not demo.ok:
            print(f"logs: {world.dir}", file=sys.stderr)
    except LabError as e:
        screen.result(False, str(e))
    except Interrupted as e:
        print("\ndemo: ended; everything is cleaned up", file=sys.stderr)
        status = 0 if keep and demo and demo.ok else 128 + e.signum
    if check:
        print(json.dumps(demo.result if demo else {"transfer_ok": False}), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
