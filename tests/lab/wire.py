# SPDX-License-Identifier: Apache-2.0
"""wire: captures of the outer network, and the judgement of what may be on it.

On a wire between gateways there may be ARP, neighbour discovery and multicast listener reports, IKE
(UDP 500, and UDP 4500 behind the non-ESP marker), ESP (native or in UDP 4500) and NAT keepalives.
Nothing else, and no byte of an inner packet in clear: the traffic of the lab carries MARKER, and no
pair of inner addresses may stand next to each other anywhere in a packet.
"""

import collections
import re
import struct
from types import SimpleNamespace

from .world import LabError

SKF = 53  # the next payload of a fragment, RFC 7383 2.5
MARKER = b"TWINBORE-IN-CLEAR"

# Everything that is not allowed, for the kernel's filter: a capture with it stays empty and cheap,
# so it can run for the length of a test.
FORBIDDEN = ("not arp and not (ip proto 50) and not (ip6 proto 50) and not (udp port 500 or udp port 4500) "
             "and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) and not (ip6 proto 0)")


class Capture:
    """Context manager: tcpdump on one interface, into a file."""

    def __init__(self, ns, ifname, what="", snaplen=200, count=None, direction=None):
        self.ns, self.ifname, self.what = ns, ifname, what
        self.snaplen, self.count, self.direction = snaplen, count, direction
        self.path = ns.world.dir / f"{ns.name}-{ifname}-{len(ns.world.processes)}.pcap"

    def __enter__(self):
        argv = ["tcpdump", "-Z", "root", "--immediate-mode", "-U", "-n", "-i", self.ifname, "-B", "16384",
                "-s", self.snaplen, "-w", self.path]
        if self.count:
            argv += ["-c", self.count]
        if self.direction:
            argv += ["-Q", self.direction]
        self.process = self.ns.spawn(argv + ([self.what] if self.what else []), "tcpdump")
        self.process.wait_for("listening on")
        return self

    def stop(self):
        self.process.stop()
        return self

    def __exit__(self, *_):
        self.stop()
        return False

    @property
    def n_dropped(self):
        m = re.search(r"(\d+) packets? dropped by kernel", self.process.text)
        return int(m[1]) if m else 0

    def packets(self):
        return read(self.path)


class Tail(Capture):
    """A capture of everything that is read while it goes on."""

    def __init__(self, ns, ifname, what="", snaplen=200):
        super().__init__(ns, ifname, what, snaplen)
        self._at = 0

    def more(self):
        """What came since the last call, as far as it is in the file."""
        with open(self.path, "rb") as f:
            f.seek(self._at)
            data = f.read()
        if self._at == 0:
            if len(data) < 24:
                return
            self._at = 24
            data = data[24:]
        at = 0
        while at + 16 <= len(data):
            s, us, kept, size = struct.unpack_from("<IIII", data, at)
            if at + 16 + kept > len(data):
                break
            at += 16 + kept
            self._at += 16 + kept
            yield SimpleNamespace(time=s + us / 1e6, size=size, data=data[at - kept:at])


def read(path):
    """Yields time, original length and bytes of every packet of a capture file."""
    with open(path, "rb") as f:
        data = f.read()
    if len(data) < 24:
        return
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    head = struct.Struct(order + "IIII")
    at = 24
    while at + 16 <= len(data):
        s, us, kept, size = head.unpack_from(data, at)
        at += 16
        if at + kept > len(data):
            return
        yield SimpleNamespace(time=s + us / 1e6, size=size, data=data[at:at + kept])
        at += kept


def classify(frame):
    """The class of an Ethernet frame, and a reason if it may not be there."""
    if len(frame) < 14:
        return "other", "no Ethernet frame"
    kind = int.from_bytes(frame[12:14], "big")
    if kind == 0x0806:
        return "arp", None
    if kind == 0x0800 and len(frame) >= 34:
        protocol = frame[23]
        body = frame[14 + (frame[14] & 15) * 4:]
        fragment = int.from_bytes(frame[20:22], "big") & 0x1FFF
        v = 4
    elif kind == 0x86DD and len(frame) >= 54:
        protocol, body, fragment, v = frame[20], frame[54:], 0, 6
    else:
        return "other", f"ethertype {kind:#06x}"
    if fragment:
        return "other", "a fragment"
    if protocol == 50:
        return "esp", None
    if protocol == 17 and len(body) >= 8:
        ports = struct.unpack_from("!HH", body)
        payload = body[8:]
        if 4500 in ports:
            if payload[:1] == b"\xff" and struct.unpack_from("!H", body, 4)[0] == 9:
                return "keepalive", None
            return ("ike" if payload[:4] == bytes(4) else "esp-in-udp"), None
        if 500 in ports:
            return "ike", None
        return "other", f"UDP {ports[0]} > {ports[1]}"
    if v == 6 and protocol == 58 and body and 133 <= body[0] <= 137:
        return "nd", None
    if v == 6 and protocol == 0 and len(body) >= 9 and body[8] in (130, 131, 132, 143):
        return "mld", None
    return "other", f"IPv{v} protocol {protocol}"


def ends(frame):
    """The outer addresses of a packet, as bytes."""
    if frame[12:14] == b"\x08\x00":
        return frame[26:30], frame[30:34]
    if frame[12:14] == b"\x86\xdd":
        return frame[22:38], frame[38:54]
    return ()


def ike_message(frame):
    """Source address and bytes of an IKE message; (None, None) for anything else."""
    if classify(frame)[0] != "ike":
        return None, None
    if frame[12:14] == b"\x08\x00":
        source, body = frame[26:30], frame[14 + (frame[14] & 15) * 4:]
    else:
        source, body = frame[22:38], frame[54:]
    message = body[8:]
    if 4500 in struct.unpack_from("!HH", body):
        message = message[4:]
    return (source, message) if len(message) >= 28 else (None, None)


def judge(packets, inner=(), patterns=()):
    """Counts by class. `inner`: pairs of inner addresses as bytes (source, destination); `patterns`:
    compiled expressions of such. Raises LabError with the first offender."""
    classes = collections.Counter()
    pairs = [a + b for a, b in inner] + [b + a for a, b in inner]
    for n, p in enumerate(packets, 1):
        kind, why = classify(p.data)
        classes[kind] += 1
        if why is None and MARKER[:12] in p.data:
            why = "plaintext of the stream or the file"
        if why is None and kind != "arp":
            why = next((f"inner addresses {x.hex()}" for x in pairs if x in p.data), None) or \
                next((f"inner addresses {m[0].hex()}" for x in patterns if (m := x.search(p.data))), None)
        if why:
            raise LabError(f"packet {n} of {p.size} bytes must not be on the wire: {why}: {p.data[:80].hex()}")
    return classes


class Guard:
    """Context manager: watches wires for the length of a test. Its end raises LabError if anything
    forbidden was there; see() judges a sample of everything."""

    def __init__(self, *wires, inner=()):
        self.inner = inner
        self.captures = [Capture(ns, ifname, FORBIDDEN) for ns, ifname in wires]

    def __enter__(self):
        for c in self.captures:
            c.__enter__()
        return self

    def check(self):
        for c in self.captures:
            for p in c.packets():
                kind, why = classify(p.data)
                if kind != "mld":
                    raise LabError(f"on {c.ns.name} {c.ifname}: {why or kind}: {p.data[:80].hex()}")

    def __exit__(self, kind, *_):
        for c in self.captures:
            c.stop()
        if kind is None:
            self.check()
            dropped = sum(c.n_dropped for c in self.captures)
            if dropped:
                raise LabError(f"the capture missed {dropped} packets that may have been forbidden")
        return False
