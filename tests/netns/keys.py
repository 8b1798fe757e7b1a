#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys of a whole gateway: the PSK is in keyd alone, a live tunnel's ESP keys in the dataplane (and
with IKE, which made them) alone, and everywhere only in locked memory that no core dump contains."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent),
                str(Path(__file__).resolve().parent.parent / "dataplane")]

import memory  # noqa: E402
from lab import Tap, World, need  # noqa: E402
from lab.stream import ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import new_psk, pair, wait_both_up  # noqa: E402


def sbox():
    """FIPS 197 5.1.1."""
    box, p, q = [0] * 256, 1, 1
    while True:
        p = p ^ (p << 1 & 0xFF) ^ (0x1B if p & 0x80 else 0)
        for n in (1, 2, 4):
            q ^= q << n & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        box[p] = q ^ (q << 1 | q >> 7) & 0xFF ^ (q << 2 | q >> 6) & 0xFF ^ \
            (q << 3 | q >> 5) & 0xFF ^ (q << 4 | q >> 4) & 0xFF ^ 0x63
        if p == 1:
            box[0] = 0x63
            return box


SBOX = sbox()


def aes256_keys(data):
    """Keys of AES-256 whose next round keys follow them (FIPS 197 5.2)."""
    for at in range(0, len(data) - 48, 16):
        k = data[at:at + 48]
        if k[32] == k[0] ^ SBOX[k[29]] ^ 1 and k[33] == k[1] ^ SBOX[k[30]] and \
                k[34] == k[2] ^ SBOX[k[31]] and k[35] == k[3] ^ SBOX[k[28]] and \
                all(k[i] == k[i - 32] ^ k[i - 4] for i in range(36, 48)):
            yield bytes(k[:32])


def processes(gw):
    out = {p["role"]: p["pid"] for p in gw.status()["processes"]}
    out["supervisor"] = gw.process.pid
    return out


def check(gw, needles, may_hold, must_hold):
    for role, pid in processes(gw).items():
        for name, found in memory.find(pid, needles).items():
            assert not [m for m in found if not m.hidden], f"{name} in {role} can be dumped: {found}"
            assert role in may_hold or not found, f"{role} has {name}: {found}"
            assert role not in must_hold or found, f"{name} was not found in {role}"


def cases(tap, sites, p, psk):
    a, b = sites.a, sites.b
    with tap.case("up"):
        wait_both_up(p)
        assert ping(a.host, a.host4, b.host4)

    for gw in (p.a, p.b):
        with tap.case(f"{gw.site.name}: the PSK is in keyd, hidden, and nowhere else"):
            check(gw, {"the PSK": psk.encode()}, ("keyd",), ("keyd",))

    with tap.case("ESP keys are hidden in the dataplane, and in no process but IKE's") as say:
        pid = processes(p.a)["dp"]
        keys = {k for m, data in memory.contents(pid, lambda m: m.hidden) for k in aes256_keys(data)}
        say(f"{len(keys)} keys")
        assert len(keys) >= 2, "the SAs' keys were not recognised: nothing is proved"
        for gw in (p.a, p.b):
            check(gw, {f"key {i}": k for i, k in enumerate(sorted(keys))}, ("dp", "ike"),
                  () if gw is p.b else ("dp",))


def main():
    need("ip", "ethtool", "ping")
    with World("keys") as world:
        tap = Tap(world)
        sites = two_sites(world)
        psk = new_psk()
        p = pair(sites, psk=psk)
        with p.a, p.b:
            cases(tap, sites, p, psk)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
