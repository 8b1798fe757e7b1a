# SPDX-License-Identifier: Apache-2.0
"""volleys: numbered UDP packets of one flow, hundreds at once, so that a gateway's receive queue fills.

The kernel cuts what is sent by one call into datagrams (UDP_SEGMENT). The next volley leaves when the one
before has arrived or is given up, so that no queue on the way overflows, however slow the machine is: what
is lost or overtaken, the gateways have lost or overtaken.
"""

import contextlib
import select
import socket
import struct
import threading
import time

from .flows import udp
from .wire import MARKER
from .world import LabError

UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33
NUMBER = struct.Struct("!I")
PER_CALL = 60


class Volleys:
    """Context manager: from (namespace, address) to (namespace, address), as long as it is open.
    lossless() ends it, raises LabError unless all packets came in their order, and returns how many."""

    PATIENCE_S = 3.0

    def __init__(self, source, to, size=200, n=480):
        self.source, self.to, self.size, self.n = source, to, size, n
        self.sent = self.received = self.overtaken = self.highest = 0
        self._ending = threading.Event()
        self._thread = None

    def __enter__(self):
        self._out, self._in = udp(*self.source), udp(*self.to)
        self._in.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._out.setsockopt(socket.SOL_UDP, UDP_SEGMENT, self.size)
        self._out.setblocking(True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _volley(self):
        filler = bytes(self.size - len(MARKER) - NUMBER.size)
        for first in range(self.sent, self.sent + self.n, PER_CALL):
            self._out.sendto(b"".join(MARKER + NUMBER.pack(first + i + 1) + filler for i in range(PER_CALL)),
                             self._in.getsockname())
        self.sent += self.n // PER_CALL * PER_CALL

    def _take(self):
        while True:
            try:
                data = self._in.recv(65535)
            except BlockingIOError:
                return
            if data[:len(MARKER)] != MARKER:
                continue
            number = NUMBER.unpack_from(data, len(MARKER))[0]
            self.received += 1
            self.overtaken += number != self.highest + 1
            self.highest = number

    def _run(self):
        while not self._ending.is_set():
            self._volley()
            end = time.monotonic() + self.PATIENCE_S
            while self.received < self.sent and time.monotonic() < end:
                select.select([self._in], [], [], 0.05)
                self._take()

    def stop(self):
        if self._thread:
            self._ending.set()
            self._thread.join()
            self._thread = None
            self._out.close()
            self._in.close()

    def lossless(self):
        self.stop()
        if self.received != self.sent or self.overtaken or not self.sent:
            raise LabError(f"{self.sent} sent, {self.received} received, {self.overtaken} not behind the one before")
        return self.sent

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.stop()
        return False
