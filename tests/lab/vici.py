# SPDX-License-Identifier: Apache-2.0
"""vici: a client of strongSwan's control socket, for what would be too slow as a process a command.

A packet is a 32-bit length, a type and, for commands and events, a name; its body is a tree of
sections, lists and values, all of them texts (strongSwan's documentation of the VICI protocol).
"""

import socket
import struct

from .world import LabError

CMD_REQUEST, CMD_RESPONSE, CMD_UNKNOWN, EVENT_REGISTER, EVENT_UNREGISTER, EVENT_CONFIRM, EVENT_UNKNOWN, EVENT = range(8)
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)


def _name(text):
    raw = text.encode()
    return bytes([len(raw)]) + raw


def _value(value):
    raw = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack("!H", len(raw)) + raw


def build(tree):
    out = b""
    for k, v in tree.items():
        if isinstance(v, dict):
            out += bytes([SECTION_START]) + _name(k) + build(v) + bytes([SECTION_END])
        elif isinstance(v, (list, tuple)):
            out += bytes([LIST_START]) + _name(k)
            out += b"".join(bytes([LIST_ITEM]) + _value(x) for x in v) + bytes([LIST_END])
        else:
            out += bytes([KEY_VALUE]) + _name(k) + _value(v)
    return out


def parse(data):
    """The tree of a body. Bytes that are no UTF-8 stay readable."""
    at = 0

    def take(n):
        nonlocal at
        if at + n > len(data):
            raise LabError("a VICI message ends early")
        at += n
        return data[at - n:at]

    def name():
        return take(take(1)[0]).decode(errors="replace")

    def value():
        return take(struct.unpack("!H", take(2))[0]).decode(errors="replace")

    root = {}
    stack = [root]
    while at < len(data):
        kind = take(1)[0]
        if kind == SECTION_START:
            section = {}
            stack[-1][name()] = section
            stack.append(section)
        elif kind == SECTION_END:
            stack.pop()
        elif kind == KEY_VALUE:
            k = name()
            stack[-1][k] = value()
        elif kind == LIST_START:
            items = stack[-1][name()] = []
            while (kind := take(1)[0]) == LIST_ITEM:
                items.append(value())
            if kind != LIST_END:
                raise LabError(f"a VICI list holds an element of type {kind}")
        else:
            raise LabError(f"a VICI element of type {kind}")
    return root


class Vici:
    """One connection; `connect` makes a connected stream socket."""

    def __init__(self, connect, timeout=30):
        self.sock = connect()
        self.sock.settimeout(timeout)
        self.tcp = self.sock.family != socket.AF_UNIX
        if self.tcp:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.registered = set()

    @classmethod
    def at(cls, path, timeout=30):
        def connect():
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(path))
            return s

        return cls(connect, timeout)

    def close(self):
        self.sock.close()

    def _send(self, kind, name, body=b""):
        packet = bytes([kind]) + _name(name) + body
        self.sock.sendall(struct.pack("!I", len(packet)) + packet)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            if self.tcp:  # it writes in small pieces: an acknowledgement that waits costs 40 ms each
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            more = self.sock.recv(n - len(data))
            if not more:
                raise LabError("strongSwan closed its control socket")
            data += more
        return data

    def _receive(self):
        packet = self._exactly(struct.unpack("!I", self._exactly(4))[0])
        kind, rest = packet[0], packet[1:]
        if kind == EVENT:
            return kind, rest[1 + rest[0]:]
        return kind, rest

    def _register(self, event):
        self._send(EVENT_REGISTER, event)
        if self._receive()[0] != EVENT_CONFIRM:
            raise LabError(f"strongSwan knows no event {event}")
        self.registered.add(event)

    def call(self, command, _event=None, **params):
        """A command and its answer; with `_event`, the list of what it streamed (by events that are sent
        for a command only). Keywords use _ for -. Raises LabError if strongSwan says that it failed."""
        if _event and _event not in self.registered:
            self._register(_event)
        self._send(CMD_REQUEST, command, build({k.replace("_", "-"): v for k, v in params.items()}))
        streamed = []
        while True:
            kind, body = self._receive()
            if kind == EVENT:
                streamed.append(parse(body))
            elif kind == CMD_RESPONSE:
                answer = parse(body)
                break
            else:
                raise LabError(f"strongSwan knows no command {command}")
        if answer.get("success", "yes") != "yes":
            raise LabError(f"strongSwan could not {command} {params}: {answer.get('errmsg')}")
        return streamed if _event else answer
