#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab itself: strongSwan against strongSwan. What the other tests rely on is seen to work, and
its judges are shown faults that they have to find."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, cut, heal, need, wire  # noqa: E402
from lab.fetch import Server  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.strongswan import StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402


def refuses(judge, what):
    try:
        judge()
    except LabError:
        return
    raise LabError(f"{what} was not found")


def stray(gw, to, port):
    """A packet in clear on the wire, as a fault would put it there."""
    gw.run([sys.executable, "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
            f"s.sendto(b'....TWINBORE-IN-CLEAR', ('{to}', {port}))"])


def main():
    need("ip", "nft", "ethtool", "tcpdump", "curl", "ping", "charon-systemd", "swanctl")
    with World("harness") as world:
        tap = Tap(world)
        sites = two_sites(world, Side(kernel=True, nat=True), Side(kernel=True))
        a, b = sites.a, sites.b
        with StrongSwan(a, b) as sa, StrongSwan(b, a, initiate=False) as sb:
            with wire.Guard(*sites.wires):
                with tap.case("a tunnel behind a NAT carries IPv4 and IPv6 both ways"):
                    sa.initiate()
                    for x, y in ((a, b), (b, a)):
                        assert ping(x.host, x.host4, y.host4)
                        assert ping(x.host, x.host6, y.host6)

                with tap.case("rekeys under a stream lose nothing") as say, \
                        wire.Capture(*a.wire) as capture, \
                        Stream(a.host, a.host4, b.host, b.host4) as stream:
                    for side in (sa, sb):
                        for what in ("child", "child", "ike"):
                            side.rekey(what)
                    a.host.run(["sleep", "0.2"])
                    report = stream.stop()
                    say(report)
                    assert report.lost == 0
                    classes = wire.judge(capture.stop().packets(), sites.inner)
                    assert classes["esp-in-udp"] > report.sent and classes["ike"] >= 20, classes

                with tap.case("a file arrives whole") as say, Server(b.host, b.host4) as server:
                    got = server.fetch(a.host, 20_000_000)
                    assert got.ok
                    say(f"{got.mbps:.0f} Mbit/s")

                with tap.case("a cut of 300 ms is seen as such") as say, \
                        Stream(a.host, a.host4, b.host, b.host4) as stream:
                    a.host.run(["sleep", "0.3"])
                    cut(sites.wan, b.public[0])
                    a.host.run(["sleep", "0.3"])
                    heal(sites.wan)
                    a.host.run(["sleep", "0.2"])
                    report = stream.stop()
                    say(report)
                    assert 280 <= report.gap_ms <= 450, report.gap_ms
                    assert 50 <= report.lost <= 90, report.lost

            with tap.case("a packet in clear is found: by its ports, by its content, by its addresses"):
                guard = wire.Guard(b.wire)
                guard.__enter__()
                with wire.Capture(*b.wire) as capture:
                    stray(a.gw, b.public[0], 7777)
                    stray(a.gw, b.public[0], 4500)
                    assert ping(a.host, a.host4, b.host4)
                    a.host.run(["sleep", "0.2"])
                refuses(lambda: guard.__exit__(None), "UDP to port 7777")
                packets = list(capture.packets())
                refuses(lambda: wire.judge(p for p in packets if b"\x11\x94" in p.data[34:38]), "the marker in UDP 4500")
                good = [p for p in packets if wire.classify(p.data)[0] == "esp-in-udp" and wire.MARKER not in p.data]
                wire.judge(good, sites.inner)
                leak = good[0]
                leak.data += bytes().join(sites.inner[0])
                refuses(lambda: wire.judge([leak], sites.inner), "a pair of inner addresses")
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
