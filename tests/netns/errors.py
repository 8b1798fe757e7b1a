#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Errors say what is wrong and what to do."""

import sys
import re
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need, until, wire  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, program, wait_both_up  # noqa: E402


def start_fails(gw, *patterns, timeout=25):
    """The daemon ends with an error whose text matches every pattern; returns that text."""
    gw.write()
    process = gw.ns.spawn([program("twinbored"), "--config", gw.path], "twinbored")
    try:
        status = process.wait(timeout)
    finally:
        process.stop()
    text = process.text
    if status == 0:
        raise LabError("it started")
    for pattern in patterns:
        if not re.search(pattern, text, re.IGNORECASE):
            raise LabError(f"nothing of {pattern!r} in:\n{text[-2000:]}")
    return text


def changed(gw, change, *patterns):
    good = gw.snapshot()
    try:
        change(gw.config)
        return start_fails(gw, *patterns)
    finally:
        gw.config = good


def cases(tap, sites, p):
    gw = p.a
    with tap.case("an unknown key: line, column, the nearest name"):
        changed(gw, lambda c: c["connections"][0].update(local_netwroks=["10.0.0.0/8"]),
                r"\d+:\d+", "local_netwroks", "local_networks")
        r = gw.ns.run([program("twinbore"), "check", gw.path], check=False)
        assert r.returncode == 1 and re.search(r"\d+:\d+.*local_netwroks", r.stdout + r.stderr), r.stdout + r.stderr

    with tap.case("a port whose interface does not exist"):
        changed(gw, lambda c: c["ports"][0]["device"].update(vdev="net_af_packet,iface=eth7"), "wan", "eth7")

    with tap.case("a PCI device that does not exist"):
        changed(gw, lambda c: c["ports"][0].update(device={"pci": "0000:99:00.0"}), "wan", "0000:99:00.0")

    with tap.case("hugepages that are required and missing"):
        changed(gw, lambda c: c["dataplane"].update(hugepages="require", memory=16384), "hugepages",
                r"nr_hugepages|hugepages: (auto|off)")

    with tap.case("a PSK file that does not exist"):
        changed(gw, lambda c: c["connections"][0]["defaults"].update(psk_file="/nonexistent.psk"), "/nonexistent.psk")

    with tap.case("a PSK file that others may read"):
        path = gw.config["connections"][0]["defaults"]["psk_file"]
        open_file = gw.dir / "open.psk"
        open_file.write_text("anybody reads this secret\n")
        open_file.chmod(0o644)
        assert path
        text = changed(gw, lambda c: c["connections"][0]["defaults"].update(psk_file=str(open_file)), "open.psk",
                       "mode|permission|readable|chmod")
        assert "anybody reads" not in text

    with tap.case("a wrong PSK is told apart from a dead peer, on both sides"):
        psk = p.b.config["connections"][0]["defaults"]["psk_file"]
        right = open(psk).read()
        p.b.psk(sites.a.name, "quite another secret than that one")
        with wire.Guard(*sites.wires), p.b, p.a:
            for side, t in ((p.a, p.names_a[0]), (p.b, p.names_b[0])):
                until(f"{side.site.name} reports it", lambda: side.events("auth-failed"), 15)
                event = side.events("auth-failed")[-1]
                assert re.search("psk|pre-shared|secret", event["text"], re.IGNORECASE), event
                assert not side.tunnel(t)["up"]
                assert "another secret" not in side.log and right.strip() not in side.log
            reason = p.a.tunnel(p.names_a[0])["reason"]
            assert re.search("authenti|psk|pre-shared", reason, re.IGNORECASE), reason
            assert p.a.counters()["ike.authentication-failed"] + p.b.counters()["ike.authentication-failed"] > 0
        p.b.psk(sites.a.name, right.strip())

    with tap.case("no common proposal is said so, on both sides"):
        good = p.b.snapshot()
        p.b.config["connections"][0]["defaults"]["ike"] = {"encryption": ["aes-128-cbc"], "integrity": ["sha2-512"],
                                                           "prf": ["sha2-512"], "dh": [21]}
        p.a.config["connections"][0]["defaults"]["ike"] = {"encryption": ["aes-256-gcm-16"], "prf": ["sha2-256"],
                                                           "dh": [31]}
        with p.b, p.a:
            for side in (p.a, p.b):
                until(f"{side.site.name} reports it", lambda: side.events("no-proposal"), 15)
        p.b.config = good

    with tap.case("with the right secret it comes up"):
        p.a.config["connections"][0]["defaults"].pop("ike", None)
        with p.b, p.a:
            wait_both_up(p)


def main():
    need("ip", "ethtool", "tcpdump")
    with World("errors") as world:
        tap = Tap(world)
        sites = two_sites(world)
        cases(tap, sites, pair(sites))
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
