#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every algorithm with strongSwan: a row is one IKE suite and one ESP suite. Each is brought up from
either side, carries traffic both ways, and is rekeyed once from either side."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.strongswan import PSK, StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import Twinbore  # noqa: E402

TUNNEL = "site-b-1"
DH = {14: "modp2048", 19: "ecp256", 20: "ecp384", 21: "ecp521", 31: "x25519"}

# IKE: encryption, integrity (CBC), prf, dh.  ESP: encryption, integrity (CBC), PFS group or None.
ROWS = [
    ("aes-128-gcm-16", None, "sha2-256", 14, "aes-128-gcm-16", None, None),
    ("aes-256-gcm-16", None, "sha2-384", 20, "aes-256-gcm-16", None, 20),
    ("aes-256-gcm-16", None, "sha2-512", 31, "aes-256-gcm-16", None, 31),
    ("aes-128-cbc", "sha2-256", "sha2-256", 19, "aes-128-cbc", "sha2-256", 19),
    ("aes-128-cbc", "sha2-384", "sha2-384", 31, "aes-128-cbc", "sha2-384", None),
    ("aes-128-cbc", "sha2-512", "sha2-512", 20, "aes-128-cbc", "sha2-512", 20),
    ("aes-256-cbc", "sha2-256", "sha2-512", 14, "aes-256-cbc", "sha2-256", 14),
    ("aes-256-cbc", "sha2-384", "sha2-256", 21, "aes-256-cbc", "sha2-384", 21),
    ("aes-256-cbc", "sha2-512", "sha2-384", 19, "aes-256-cbc", "sha2-512", 31),
]


def ss_encr(name):
    """aes-256-gcm-16 as strongSwan writes it: aes256gcm16."""
    _, bits, mode, *tag = name.split("-")
    return f"aes{bits}" + (f"gcm{tag[0]}" if mode == "gcm" else "")


def ss_hash(name):
    return "sha" + name.removeprefix("sha2-")


def ss_proposal(encr, integ, prf, dh):
    parts = [ss_encr(encr)]
    if integ:
        parts.append(ss_hash(integ))
    if prf:
        parts.append("prf" + ss_hash(prf))
    if dh:
        parts.append(DH[dh])
    return "-".join(parts)


def configure(tb, ss, row):
    encr, integ, prf, dh, esp_encr, esp_integ, pfs = row
    defaults = tb.config["connections"][0]["defaults"]
    defaults["ike"] = {"encryption": [encr], "prf": [prf], "dh": [dh], **({"integrity": [integ]} if integ else {})}
    defaults["esp"] = {"encryption": [esp_encr], "pfs": [pfs] if pfs else "none", "esn": [False],
                       **({"integrity": [esp_integ]} if esp_integ else {})}
    ss.connection["proposals"] = ss_proposal(encr, integ, prf, dh)
    ss.child["esp_proposals"] = ss_proposal(esp_encr, esp_integ, None, pfs)


def row_case(p, tb, ss, by):
    a, b = p.a, p.b
    if by == "twinbore":
        tb.up(TUNNEL)
    else:
        ss.initiate()
    tb.wait_up(TUNNEL)
    ss.wait_up()
    assert ping(a.host, a.host4, b.host4) and ping(b.host, b.host6, a.host6)
    with Stream(a.host, a.host4, b.host, b.host4, size=900) as stream:
        tb.rekey(TUNNEL)
        tb.rekey(TUNNEL, "ike")
        before = tb.ids(TUNNEL)
        ss.rekey("child")
        tb.wait_rekeyed(TUNNEL, "child", before)
        before = tb.ids(TUNNEL, "ike")
        ss.rekey("ike")
        tb.wait_rekeyed(TUNNEL, "ike", before)
        report = stream.stop()
    assert report.lost == 0, report
    tb.down(TUNNEL)
    ss.wait_down()
    until("Twinbore's SAs are gone", lambda: not tb.ids(TUNNEL) and not tb.ids(TUNNEL, "ike"))


def main():
    need("ip", "nft", "ethtool", "tcpdump", "ping", "charon-systemd", "swanctl")
    with World("suites") as world:
        tap = Tap(world)
        sites = two_sites(world, Side(), Side(kernel=True))
        tb, ss = Twinbore(sites.a), StrongSwan(sites.b, sites.a)
        tb.connect(sites.b, PSK, [(sites.a.outside[0], sites.b.public[0])], startup="add")
        configure(tb, ss, ROWS[0])
        with wire.Guard(*sites.wires), ss, tb:
            for row in ROWS:
                configure(tb, ss, row)
                ss.load()
                tb.reload()
                for by in ("twinbore", "strongswan"):
                    with tap.case(f"IKE {ss.connection['proposals']}, ESP {ss.child['esp_proposals']}, by {by}"):
                        row_case(sites, tb, ss, by)
                    if not tap.last_ok:
                        tb.down(TUNNEL)
                        ss.terminate(check=False)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
