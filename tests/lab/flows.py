# SPDX-License-Identifier: Apache-2.0
"""flows: numbered UDP packets both ways between two hosts, from sockets of the test itself.

Unlike stream.py's there is no process to start and no echo, so that a flow begins and ends in
milliseconds, and each direction is judged for itself. The sockets live in the hosts' namespaces;
one thread serves all of them.
"""

import contextlib
import ctypes
import os
import select
import socket
import struct
import threading
import time
from types import SimpleNamespace

from .wire import MARKER
from .world import LabError

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
HEAD = struct.Struct("!IQ")  # flow and direction, number
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(ns):
    """This thread's sockets are made in `ns` meanwhile. The process itself stays where it is."""
    def enter(path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(fd, CLONE_NEWNET) != 0:
                raise LabError(f"cannot enter {path}: {os.strerror(ctypes.get_errno())}")
        finally:
            os.close(fd)

    home = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
    fd = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
    enter(f"/run/netns/{ns.full}")
    try:
        yield
    finally:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            os._exit(70)  # what follows would happen in the wrong namespace
        os.close(fd)


def udp(ns, address, port=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(ns):
        s = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.bind((address, port))
    return s


def reach(*pairs, timeout=10.0):
    """Waits until a packet goes both ways between each pair of (namespace, address): neighbours are
    resolved then, and routes in place."""
    end = time.monotonic() + timeout
    for one, other in pairs:
        for (ns_x, x), (ns_y, y) in ((one, other), (other, one)):
            with contextlib.closing(udp(ns_x, x)) as sender, contextlib.closing(udp(ns_y, y)) as receiver:
                while True:
                    with contextlib.suppress(OSError):
                        sender.sendto(MARKER + b"reach", receiver.getsockname())
                    if select.select([receiver], [], [], 0.05)[0]:
                        break
                    if time.monotonic() >= end:
                        raise LabError(f"no packet of {x} reaches {y} within {timeout:g} s")


class _Direction:
    """From one socket to the address of the other."""

    def __init__(self, key, name, sender, receiver, to):
        self.key, self.name, self.sender, self.receiver, self.to = key, name, sender, receiver, to
        self.sent = self.refused = self.duplicated = self.foreign = 0
        self.seen = bytearray()
        self.gap = 0.0
        self.last = None

    def send(self, filler):
        try:
            self.sender.sendto(MARKER + HEAD.pack(self.key, self.sent) + filler, self.to)
        except OSError:
            self.refused += 1  # no route: it counts as sent, and lost
        self.sent += 1

    def take(self):
        while True:
            try:
                data = self.receiver.recv(65535)
            except OSError:
                return
            now = time.monotonic()
            if len(data) < len(MARKER) + HEAD.size or data[:len(MARKER)] != MARKER:
                self.foreign += 1
                continue
            key, n = HEAD.unpack_from(data, len(MARKER))
            if key != self.key:
                self.foreign += 1
                continue
            if n >= len(self.seen):
                self.seen.extend(bytes(n + 1 - len(self.seen)))
            if self.seen[n]:
                self.duplicated += 1
            self.seen[n] = 1
            if self.last is not None:
                self.gap = max(self.gap, now - self.last)
            self.last = now

    @property
    def n_seen(self):
        return sum(self.seen)


class Flow:
    """Context manager: both ways between (namespace, address) pairs, once for each pair. stop() ends
    it; lossless() raises LabError unless everything arrived once."""

    LINGER = 100  # looks in vain of 20 ms each, and not a time: one that this machine sleeps through is one
    MAX_LAG_S = 0.2
    _key = 0

    def __init__(self, *pairs, interval_ms=5, size=64):
        self.pairs, self.interval, self.size = pairs, interval_ms / 1000, size
        self.directions = []
        self._socks = []
        self._ending = threading.Event()
        self._thread = None

    def __enter__(self):
        for (ns_x, x), (ns_y, y) in self.pairs:
            sx, sy = udp(ns_x, x), udp(ns_y, y)
            self._socks += [sx, sy]
            for name, one, other in ((f"{x} > {y}", sx, sy), (f"{y} > {x}", sy, sx)):
                Flow._key += 1
                self.directions.append(_Direction(Flow._key, name, one, other, other.getsockname()))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self):
        filler = bytes(max(0, self.size - len(MARKER) - HEAD.size))
        due = time.monotonic()
        looks = None
        by_fd = {d.receiver.fileno(): d for d in self.directions}
        while True:
            now = time.monotonic()
            if looks is None and self._ending.is_set():
                looks = self.LINGER
            if looks is not None:
                if looks == 0 or all(d.n_seen == d.sent for d in self.directions):
                    return
            elif now >= due:
                if now - due > self.MAX_LAG_S:
                    due = now  # this machine stood still: no burst to catch up
                for d in self.directions:
                    d.send(filler)
                due += self.interval
            wait = 0.02 if looks is not None else max(0.0, due - time.monotonic())
            ready = select.select(list(by_fd), [], [], wait)[0]
            for fd in ready:
                by_fd[fd].take()
            if looks is not None and not ready:
                looks -= 1

    def stop(self):
        if self._thread:
            self._ending.set()
            self._thread.join()
            self._thread = None
            for s in self._socks:
                s.close()
        return self.report

    @property
    def report(self):
        return [SimpleNamespace(name=d.name, sent=d.sent, received=d.n_seen, lost=d.sent - d.n_seen, refused=d.refused,
                                duplicated=d.duplicated, gap_ms=d.gap * 1000,
                                lost_at=[n for n in range(d.sent) if n >= len(d.seen) or not d.seen[n]][:10])
                for d in self.directions]

    def flows(self):
        """True when packets arrived by every direction."""
        return all(d.n_seen for d in self.directions)

    def lossless(self):
        """Ends it and returns how many packets it carried."""
        for r in self.stop():
            if not r.sent or r.lost or r.duplicated:
                raise LabError(f"{r.name}: {r.sent} sent, {r.lost} lost (first {r.lost_at}), "
                               f"{r.duplicated} duplicated, longest gap {r.gap_ms:.0f} ms")
        return sum(r.sent for r in self.report)

    def __exit__(self, *_):
        self.stop()
        return False
