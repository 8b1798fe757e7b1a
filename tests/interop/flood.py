#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A flood of spoofed IKE_SA_INIT requests, as fast as this machine makes them: an honest peer still comes up,
in either role, the memory of the process stays bounded, and the events tell of the cookies (RFC 7296 2.6). The
flood lasts until all of it is seen; how long that takes is told.

Usage: flood.py [SECONDS]                                       (the least that the flood lasts)
       flood.py send INTERFACE FRAME-FILE                       (inside a namespace, until SIGTERM, like the next)
       flood.py strangers FRAME-FILE ADDRESS N SECONDS"""

import os
import random
import signal
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.flows import Flow, reach  # noqa: E402
from lab.mutate import ETHER, rebuild  # noqa: E402
from lab.strongswan import PSK, StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import Twinbore  # noqa: E402

TUNNEL = "site-b-1"
MORE_MEMORY_KB = 16 << 10
FRAMES = 8192
TRIES = 6  # as often as an initiator repeats its request
IKE_SA_INIT, NOTIFY, COOKIE = 34, 41, struct.pack("!H", 16390)
STRANGERS = 100


def spoofed(frame, rng):
    """The request as if from another source, with an SPI of its own."""
    ip = bytearray(frame[ETHER:])
    body = ip[20:]
    body[8:16] = rng.randbytes(8)
    struct.pack_into("!H", body, 0, 500)
    head = bytearray(frame[:ETHER + 20])
    head[ETHER + 12:ETHER + 16] = struct.pack("!I", (198 << 24 | 18 << 16) + rng.randrange(1 << 17))  # 198.18.0.0/15
    return rebuild(bytes(head), bytes(body))


def strangers(path, to, n, patience):
    """`n` peers without an address that anybody knows, each with a first request of its own that it repeats.
    Prints how many were answered in the end, and how many of those by the first, the first two, ..."""
    request = Path(path).read_bytes()[ETHER + 28:]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 500))
    waiting = {os.urandom(8) for _ in range(n)}
    answered = []
    while waiting and len(answered) < TRIES:
        for spi in waiting:
            s.sendto(spi + request[8:], (to, 500))
        end = time.monotonic() + patience
        while waiting and (rest := end - time.monotonic()) > 0:
            s.settimeout(rest)
            try:
                answer = s.recv(2000)
            except TimeoutError:
                break
            if answer[16] == NOTIFY and answer[34:36] == COOKIE:
                waiting.discard(answer[:8])
        answered.append(n - len(waiting))
    print(answered[-1], *answered)


def send(ifname, path):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    frame = Path(path).read_bytes()
    rng = random.Random(4987)
    frames = [spoofed(frame, rng) for _ in range(FRAMES)]
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((ifname, 0))
    n = refused = 0
    started = time.monotonic()
    print("ready", flush=True)
    while not ended:
        for f in frames[:512]:
            try:
                s.send(f)
                n += 1
            except OSError:
                refused += 1
        # Every round has SPIs that were never seen.
        frames = frames[512:] + [f[:ETHER + 28] + rng.randbytes(8) + f[ETHER + 36:] for f in frames[:512]]
    print(f"{n} {n / (time.monotonic() - started):.0f} {refused}", flush=True)


def rss_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("no VmRSS")


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_request(capture):
    for p in capture.packets():
        _, message = wire.ike_message(p.data)
        if message and message[18] == IKE_SA_INIT and not message[19] & 0x20 and p.data[12:14] == b"\x08\x00":
            return p.data
    raise AssertionError("no IKE_SA_INIT request in the capture")


def cases(tap, sites, tb, ss, seconds):
    a, b = sites.a, sites.b
    pairs = [((a.host, a.host4), (b.host, b.host4)), ((a.host, a.host6), (b.host, b.host6))]
    with tap.case("an honest tunnel, and its first request"):
        with wire.Capture(*a.wire, "udp port 500", snaplen=2000, direction="out") as capture:
            ss.initiate()
            tb.wait_up(TUNNEL)
        frame = tb.dir / "request"
        frame.write_bytes(first_request(capture))
        tb.down(TUNNEL)
        ss.wait_down()
    sites.wan.ip("route add blackhole 198.18.0.0/15")  # where the answers to nobody go
    pid = tb.restarts()["ike"][0]
    before, counted, cpu = rss_kb(pid), tb.counters(), cpu_s(pid)
    sender = sites.wan.spawn([sys.executable, __file__, "send", a.wan_if, frame], "flood")
    sender.wait_for("ready")
    started = time.monotonic()
    time.sleep(0.5)
    for role, begin in (("strongSwan", ss.initiate), ("Twinbore", lambda: tb.up(TUNNEL))):
        with tap.case(f"in the flood, {role} brings it up") as say:
            at = time.monotonic()
            begin()
            tb.wait_up(TUNNEL)
            ss.wait_up()
            say(f"{(time.monotonic() - at) * 1000:.0f} ms")
            assert sender.running, "the flood was over before"
            reach(*pairs)
            if role == "strongSwan":
                tb.down(TUNNEL)
                ss.wait_down()
    with tap.case("in the flood, its traffic and its rekeys go on") as say, Flow(*pairs) as flow:
        for what in ("child", "ike", "child"):
            tb.rekey(TUNNEL, what, timeout=15)
        say(f"{flow.lossless()} packets, none lost")
    with tap.case("in the flood, who has no known address is answered when he repeats his request") as say:
        p = sites.wan.run([sys.executable, __file__, "strangers", frame, a.outside[0], STRANGERS, 2])
        n, *by = p.stdout.split()
        say(f"{n} of {STRANGERS}, {', '.join(by)} by the first requests")
        assert sender.running, "the flood was over before"
        assert int(n) == STRANGERS
    with tap.case("the memory of the process stays bounded") as say:
        peak = before
        while time.monotonic() - started < seconds:
            peak = max(peak, rss_kb(pid))
            time.sleep(0.05)
        sender.stop()
        n, rate, _ = sender.out.read_text().split()[-3:]
        say(f"{n} requests in {time.monotonic() - started:.1f} s, {rate}/s; VmRSS {before} kB before, {peak} kB at most")
        assert peak - before < MORE_MEMORY_KB
        assert int(n) > 10000
    with tap.case("the events tell of the cookies, the counters of the rest") as say:
        kinds = [e["kind"] for e in tb.events() if e["kind"].startswith("cookies")]
        assert "cookies-on" in kinds, kinds
        now = tb.counters()
        rose = {k: now[k] - counted.get(k, 0) for k in now if now[k] != counted.get(k, 0)}
        say(", ".join(f"{k} +{v}" for k, v in sorted(rose.items())))
        say(f"{(cpu_s(pid) - cpu) * 1e6 / rose['ike.rx-messages']:.1f} us of CPU a message")
        assert rose.get("ike.cookie-sent", 0) > 100
        assert tb.restarts()["ike"][0] == pid
    with tap.case("afterwards it comes up as before"):
        if os.environ.get("TWINBORE_FULL"):
            until("the cookies are off", lambda: "cookies-off" in [e["kind"] for e in tb.events()], 90, 0.5)
        tb.down(TUNNEL)
        ss.wait_down()
        ss.initiate()
        tb.wait_up(TUNNEL)


def main():
    if sys.argv[1:2] == ["send"]:
        send(sys.argv[2], sys.argv[3])
        return 0
    if sys.argv[1:2] == ["strangers"]:
        strangers(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
        return 0
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60 if os.environ.get("TWINBORE_FULL") else 8
    need("ip", "ethtool", "tcpdump", "charon-systemd", "swanctl")
    with World("flood") as world:
        tap = Tap(world)
        sites = two_sites(world, Side(), Side(kernel=True))
        tb, ss = Twinbore(sites.a), StrongSwan(sites.b, sites.a)
        tb.connect(sites.b, PSK, [(sites.a.outside[0], sites.b.public[0])], startup="add",
                   ike={"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
                   esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]})
        # Strangers are heard only where a peer may have any address.
        anybody = tb.connect(sites.b, PSK, [(sites.a.outside[0], sites.b.public[0])], startup="add",
                             networks=(["10.1.0.0/24"], ["10.3.0.0/24"]))
        anybody["name"], anybody["defaults"]["remote_id"] = "anybody", "anybody.example.net"
        anybody["tunnels"][0].update({"name": "anybody-1", "interface": "tb-any", "inside_addresses": ["169.254.99.1/30"]})
        del anybody["tunnels"][0]["remote_address"]
        ss.options["retransmit_tries"] = "6"
        with ss, tb:
            cases(tap, sites, tb, ss, seconds)
            if tap.n_failed:
                tap.say(tb.log[-1500:])
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
