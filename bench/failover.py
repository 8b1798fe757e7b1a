# SPDX-License-Identifier: Apache-2.0
"""failover: two gateways with two tunnels and BGP, a packet each millisecond both ways, and what is lost when
the tunnel that carries goes: cut silently on its way, or drained by an operator."""

import importlib.util
import os
import subprocess
import sys
import time

INTERVAL_MS = 1
ANY = ["0.0.0.0/0", "::/0"]
AS = {"a": 65001, "b": 65002}

# What notices, the options of the tunnels, and how long to wait for it.
WAYS = [
    ("BFD 50 ms x 3", {"bfd": {"interval": "50ms", "multiplier": 3}, "dpd": {"interval": "20s", "timeout": "80s"}}, 10),
    ("BGP hold time 30 s", {"dpd": {"interval": "60s", "timeout": "240s"}}, 60),
    ("drain", {"dpd": {"interval": "20s", "timeout": "80s"}}, 10),
]


def load_lab(root, build):
    """The namespaces of the tests, as a package `tests_lab`."""
    os.environ["TWINBORE_BUILD"] = str(build)
    if "tests_lab" in sys.modules:
        return sys.modules["tests_lab"]
    folder = root / "tests" / "lab"
    spec = importlib.util.spec_from_file_location("tests_lab", folder / "__init__.py",
                                                  submodule_search_locations=[str(folder)])
    lab = importlib.util.module_from_spec(spec)
    sys.modules["tests_lab"] = lab
    spec.loader.exec_module(lab)
    return lab


def configure(p, sites):
    for gw, me, peer in ((p.a, sites.a, sites.b), (p.b, sites.b, sites.a)):
        gw.config["bgp"] = {"local_as": AS[me.letter]}
        gw.config["routing"] = {"local_networks": list(me.networks)}
        gw.config["gateway"]["log"]["level"] = "info"
        c = gw.config["connections"][0]
        c["local_networks"] = c["remote_networks"] = ANY
        c["defaults"]["bgp"] = {"remote_as": AS[peer.letter], "hold_time": "30s", "connect_retry": "1s"}


def settle(lab, p, names, bfd):
    from tests_lab.twinbore import wait_both_up
    wait_both_up(p)
    for gw in (p.a, p.b):
        lab.until("two BGP sessions", lambda: len({e["tunnel"] for e in gw.events("bgp-up")}) == 2, 20)
        if bfd:
            lab.until("BFD is up", lambda: len({e["tunnel"] for e in gw.events("bfd-up")}) == 2, 20)
    p.a.wait_active("site-b", names[0][0])
    p.b.wait_active("site-a", names[1][0])


def carrier(gw, prefix):
    return next((r["tunnel"] for r in gw.call("show.routes")["routes"] if r["prefix"] == prefix), None)


def measure(lab, what, options, patience):
    from tests_lab.stream import Stream
    from tests_lab.topology import two_sites
    from tests_lab.twinbore import pair
    with lab.World("failover-bench") as world:
        sites = two_sites(world)
        p = pair(sites, tunnels=2, **options)
        configure(p, sites)
        with p.a, p.b:
            settle(lab, p, (p.names_a, p.names_b), "bfd" in options)
            with Stream(sites.a.host, sites.a.host4, sites.b.host, sites.b.host4, INTERVAL_MS) as stream:
                time.sleep(1)
                if what == "drain":
                    p.a.cli("tunnel", "drain", p.names_a[0])
                else:
                    lab.cut(sites.wan, sites.b.public[0])
                for gw, peer, name in ((p.a, sites.b, p.names_a[1]), (p.b, sites.a, p.names_b[1])):
                    lab.until(f"{name} carries", lambda: carrier(gw, peer.networks[0]) == name, patience)
                time.sleep(1)
                return stream.stop()


def rows(build, root, quick=False):
    lab = load_lab(root, build)
    for what, options, patience in WAYS:
        row = {"bench": "failover-traffic", "noticed_by": what}
        if quick and patience > 10:
            continue
        try:
            r = measure(lab, what, options, patience)
            yield {**row, "sent": r.sent, "lost": r.lost, "longest_gap_ms": round(r.gap_ms, 1)}
        except (lab.LabError, OSError, subprocess.SubprocessError) as e:
            yield {**row, "not_available": str(e)[-300:]}
