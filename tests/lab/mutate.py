# SPDX-License-Identifier: Apache-2.0
"""mutate: real packets, damaged, and sent again.

The corpus is a capture of the WAN router's interface towards a gateway (outgoing packets only), so
that every frame can be sent there once more as it was seen. Each damaged packet keeps a frame and
an IP header that reach the gateway; what is behind them is cut, flipped, stretched or overwritten.

As a program:  python3 -m lab.mutate INTERFACE CAPTURE COUNT PER_SECOND SEED
"""

import random
import socket
import struct
import sys
import time

from . import wire

ETHER = 14
LENGTHS = (0, 1, 3, 4, 7, 8, 27, 28, 255, 256, 0x7FFF, 0xFFFF)


def _sum(data):
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def corpus(path):
    """The whole IKE and ESP packets over IPv4 of a capture, by class."""
    found = {}
    for p in wire.read(path):
        kind, why = wire.classify(p.data)
        if why is None and kind in ("ike", "esp", "esp-in-udp", "keepalive") and len(p.data) == p.size and \
                p.data[12:14] == b"\x08\x00" and p.data[ETHER] == 0x45:
            found.setdefault(kind, []).append(p.data)
    return found


def rebuild(frame, body):
    """The frame with another IP payload: lengths and header checksum fit, a UDP checksum is left
    out, so that the damage reaches the protocol behind it."""
    ip = bytearray(frame[ETHER:ETHER + 20])
    struct.pack_into("!H", ip, 2, 20 + len(body))
    ip[10:12] = b"\0\0"
    struct.pack_into("!H", ip, 10, _sum(bytes(ip)))
    body = bytearray(body)
    if ip[9] == 17 and len(body) >= 8:
        struct.pack_into("!H", body, 4, len(body))
        body[6:8] = b"\0\0"
    return frame[:ETHER] + bytes(ip) + bytes(body)


def damage(rng, frame):
    """One damaged copy. Some ways leave the lengths in the headers lying."""
    body = bytearray(frame[ETHER + 20:])
    head = 8 if frame[ETHER + 9] == 17 else 0  # what stands before IKE or ESP
    how = rng.randrange(9)
    if how == 0:    # cut anywhere
        return rebuild(frame, body[:rng.randrange(len(body))])
    if how == 1:    # cut in the first bytes of the protocol
        return rebuild(frame, body[:head + rng.randrange(min(40, max(1, len(body) - head)))])
    if how == 2:    # flipped bits
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            body[rng.randrange(head, len(body))] ^= 1 << rng.randrange(8)
        return rebuild(frame, body)
    if how == 3:    # flipped bits in the first bytes: SPI, sequence, header fields
        for _ in range(rng.choice((1, 1, 2))):
            body[rng.randrange(head, min(len(body), head + 36))] ^= 1 << rng.randrange(8)
        return rebuild(frame, body)
    if how == 4:    # a length or type field somewhere gets an extreme value
        at = rng.randrange(head, max(head + 1, len(body) - 1))
        struct.pack_into("!H", body, at, rng.choice(LENGTHS)) if at + 2 <= len(body) else None
        return rebuild(frame, body)
    if how == 5:    # longer than it was
        return rebuild(frame, body + rng.randbytes(rng.randrange(1, 300)))
    if how == 6:    # nothing of it is left but the first bytes
        keep = head + rng.choice((4, 8, 16, 28))
        return rebuild(frame, body[:keep] + rng.randbytes(max(0, len(body) - keep)))
    if how == 7:    # the frame ends early, the headers do not know
        return frame[:rng.randrange(ETHER + 20, len(frame))]
    out = bytearray(rebuild(frame, body))   # a UDP length (or ESP SPI) that lies
    struct.pack_into("!H", out, ETHER + 24, rng.choice(LENGTHS)) if len(out) > ETHER + 26 else None
    return bytes(out)


def inject(ifname, path, count, per_second, seed):
    found = corpus(path)
    if not found:
        raise SystemExit("the capture holds no packet to damage")
    rng = random.Random(seed)
    kinds = sorted(found)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((ifname, 0))
    start = time.monotonic()
    sent = 0
    for n in range(count):
        wait = start + n / per_second - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        frame = damage(rng, rng.choice(found[rng.choice(kinds)]))
        try:
            sock.send(frame)
            sent += 1
        except OSError:
            pass  # longer than the interface takes
    print(f"sent {sent} of {', '.join(f'{len(found[k])} {k}' for k in kinds)}", flush=True)


if __name__ == "__main__":
    inject(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
