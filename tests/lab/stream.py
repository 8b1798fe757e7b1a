# SPDX-License-Identifier: Apache-2.0
"""stream: a numbered UDP stream that is echoed, and what became of every packet of it.

The sender keeps its own clock (1 to 5 ms between packets); arrival times are the kernel's. Loss is
told by direction: the echo side reports which numbers reached it.

As a program:  python3 -m lab.stream echo ADDRESS PORT
               python3 -m lab.stream send FROM TO PORT INTERVAL_MS SIZE [COUNT]
Both end by SIGTERM and then print one JSON object.
"""

import json
import select
import signal
import socket
import struct
import sys
import time
from types import SimpleNamespace

from .wire import MARKER
from .world import LabError

HEAD = struct.Struct("!QQ")
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
LINGER = 100  # looks in vain of 20 ms each, and not a time: one that this machine sleeps through is one
MAX_LAG_NS = 200_000_000
MARK_SIZE = len(MARKER)


def _socket(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.bind((address, port))
    return s


def _receive(sock):
    """(data, peer, kernel time in ns) or None."""
    try:
        data, ancillary, _flags, peer = sock.recvmsg(65535, 256, socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionRefusedError, OSError):
        return None
    at = time.time_ns()
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            s, ns = struct.unpack("ll", value[:16])
            at = s * 1_000_000_000 + ns
    return data, peer, at


class _Ender:
    def __init__(self):
        self.now = False
        for s in (signal.SIGTERM, signal.SIGINT):
            signal.signal(s, self._end)

    def _end(self, *_):
        self.now = True


def echo(address, port):
    ender = _Ender()
    sock = _socket(address, port)
    seen = bytearray()
    print("ready", flush=True)
    while not ender.now:
        if not select.select([sock], [], [], 0.2)[0]:
            continue
        while (got := _receive(sock)) is not None:
            data, peer, _ = got
            if data[:MARK_SIZE] != MARKER or len(data) < MARK_SIZE + HEAD.size:
                continue
            seq = HEAD.unpack_from(data, MARK_SIZE)[0]
            if seq >= len(seen):
                seen.extend(bytes(seq + 1 - len(seen)))
            seen[seq] = 1
            try:
                sock.sendto(data, peer)
            except OSError:
                pass  # no route for the moment: a lost packet
    print(json.dumps({"seen": [i for i, x in enumerate(seen) if not x], "n": len(seen)}), flush=True)


def send(source, to, port, interval_ms, size, count):
    ender = _Ender()
    sock = _socket(source, 0)
    sock.connect((to, port))
    interval = int(interval_ms * 1e6)
    filler = bytes(max(0, size - MARK_SIZE - HEAD.size))
    sent, back = [], {}
    duplicated = reordered = refused = 0
    highest = -1
    print("ready", flush=True)
    due = time.monotonic_ns()
    looks = None

    def take():
        nonlocal duplicated, reordered, highest
        while (got := _receive(sock)) is not None:
            data, _, at = got
            if data[:MARK_SIZE] != MARKER or len(data) < MARK_SIZE + HEAD.size:
                continue
            seq = HEAD.unpack_from(data, MARK_SIZE)[0]
            if seq in back:
                duplicated += 1
                continue
            back[seq] = at
            if seq < highest:
                reordered += 1
            highest = max(highest, seq)

    while True:
        now = time.monotonic_ns()
        if looks is None and (ender.now or (count and len(sent) >= count)):
            looks = LINGER
        if looks is not None:
            if looks == 0 or len(back) == len(sent):
                break
            if not select.select([sock], [], [], 0.02)[0]:
                looks -= 1
            take()
            continue
        if now >= due:
            if now - due > MAX_LAG_NS:
                due = now  # this machine stood still: no burst to catch up
            at = time.time_ns()
            try:
                sock.send(MARKER + HEAD.pack(len(sent), at) + filler)
            except OSError:
                refused += 1  # the host has no route: it counts as sent, and lost
            sent.append(at)
            due += interval
        select.select([sock], [], [], max(0, due - time.monotonic_ns()) / 1e9)
        take()

    print(json.dumps({"sent": sent, "back": sorted(back.items()), "duplicated": duplicated,
                      "reordered": reordered, "refused": refused}), flush=True)


class Report(SimpleNamespace):
    """sent, received, lost, lost_there, lost_back, duplicated, reordered, gap_ms (the longest time
    without an arrival), gap_at (epoch seconds at which it began), rtt_ms (median), lost_at
    (numbers)."""

    def __str__(self):
        s = f"{self.sent} sent, {self.lost} lost, longest gap {self.gap_ms:.1f} ms"
        if self.lost:
            s += f" (lost there {self.lost_there}, on the way back {self.lost_back})"
        if self.duplicated or self.reordered:
            s += f", {self.duplicated} duplicated, {self.reordered} reordered"
        return s


def judge(sender, echoer, interval_ms):
    sent, back = sender["sent"], dict(sender["back"])
    if not sent:
        raise LabError("the stream sent nothing")
    lost = [i for i in range(len(sent)) if i not in back]
    missed = set(echoer["seen"]) | set(range(echoer["n"], len(sent)))
    arrivals = [sent[0]] + sorted(back.values())
    if lost and lost[-1] == len(sent) - 1:
        arrivals.append(sent[-1])
    gap, gap_at = max(((b - a, a) for a, b in zip(arrivals, arrivals[1:])), default=(0, 0))
    rtts = sorted(at - sent[i] for i, at in back.items())
    return Report(sent=len(sent), received=len(back), lost=len(lost),
                  lost_there=sum(1 for i in lost if i in missed),
                  lost_back=sum(1 for i in lost if i not in missed),
                  duplicated=sender["duplicated"], reordered=sender["reordered"],
                  refused=sender["refused"], gap_ms=gap / 1e6, gap_at=gap_at / 1e9,
                  rtt_ms=rtts[len(rtts) // 2] / 1e6 if rtts else None, lost_at=lost,
                  interval_ms=interval_ms)


class Stream:
    """Context manager: a stream between two hosts. stop() ends it and returns the Report."""

    _port = 20000

    def __init__(self, source, source_address, to, to_address, interval_ms=5, size=64):
        Stream._port += 1
        self.port = Stream._port
        self.source, self.source_address = source, source_address
        self.to, self.to_address = to, to_address
        self.interval_ms, self.size = interval_ms, size
        self.report = None

    def __enter__(self):
        python = [sys.executable, "-m", "lab.stream"]
        self.echo = self.to.spawn(python + ["echo", self.to_address, self.port], "echo")
        self.echo.wait_for("ready")
        self.sender = self.source.spawn(
            python + ["send", self.source_address, self.to_address, self.port, self.interval_ms, self.size],
            "stream")
        self.sender.wait_for("ready")
        return self

    def stop(self):
        if self.report is None:
            self.sender.stop()
            self.echo.stop()
            self.report = judge(_last(self.sender), _last(self.echo), self.interval_ms)
        return self.report

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.sender.stop()
            self.echo.stop()
        return False


def _last(process):
    lines = process.out.read_text().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise LabError(f"{process.name} gave no result: {process.text[-500:]}")
    return json.loads(lines[-1])


def ping(source, source_address, to_address, tries=40, wait_ms=250):
    """True as soon as one echo request is answered."""
    for _ in range(tries):
        r = source.run(["ping", "-n", "-q", "-c", "1", "-W", f"{wait_ms / 1000:g}", "-I", source_address,
                        to_address], check=False)
        if r.returncode == 0:
            return True
        if "bytes of data" not in r.stdout:
            time.sleep(wait_ms / 1000)
    return False


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]),
             int(sys.argv[7]) if len(sys.argv) > 7 else 0)
