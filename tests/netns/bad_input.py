#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input: thousands of damaged IKE and ESP packets at a running gateway."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, mutate, need, until, wire  # noqa: E402
from lab.stream import Stream, ping  # noqa: E402
from lab.topology import two_sites  # noqa: E402
from lab.twinbore import pair, wait_both_up  # noqa: E402

COUNT = 6000
PER_SECOND = 500
SEEDS = (4303, 7296)


def record(sites, p, run):
    """Real exchanges towards gateway a: IKE_SA_INIT to delete, rekeys, ESP of both families, most of it of
    the SAs that live on."""
    a, b = sites.a, sites.b
    with wire.Capture(*a.wire, "udp or ip proto 50", snaplen=2000, direction="out") as capture:
        p.a.up(p.names_a[0])
        wait_both_up(p)
        p.b.down(p.names_b[0])
        p.a.wait_down(p.names_a[0])
        p.b.up(p.names_b[0])
        wait_both_up(p)
        assert ping(a.host, a.host4, b.host4) and ping(b.host, b.host6, a.host6)
        for what in ("child", "ike"):
            p.a.rekey(p.names_a[0], what)
            p.b.rekey(p.names_b[0], what)
        with Stream(b.host, b.host4, a.host, a.host4, size=300):
            time.sleep(0.5)
        time.sleep(0.2)
    return capture.path


def cases(tap, sites, p):
    a, b = sites.a, sites.b
    t = p.names_a[0]
    path = None
    with tap.case("a corpus of real packets") as say:
        path = record(sites, p, "corpus")
        found = mutate.corpus(path)
        say(", ".join(f"{len(v)} {k}" for k, v in sorted(found.items())))
        assert len(found.get("ike", [])) >= 10 and sum(len(v) for k, v in found.items() if k.startswith("esp")) >= 50

    for seed in SEEDS:
        with tap.case(f"{COUNT} damaged packets change named counters only (seed {seed})") as say, \
                Stream(a.host, a.host4, b.host, b.host4) as stream:
            before, ids, ike, pids = p.a.counters(), p.a.ids(t), p.a.ids(t, "ike"), p.a.restarts()
            injector = sites.wan.spawn([sys.executable, "-m", "lab.mutate", a.wan_if, path, COUNT, PER_SECOND, seed],
                                       "mutate")
            assert injector.wait(90) == 0, injector.text
            time.sleep(0.5)
            report = stream.stop()
            after = p.a.counters()
            say(f"{injector.text.strip()}; stream {report}")
            rose = {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}
            say("; ".join(f"{k} +{v}" for k, v in sorted(rose.items())))
            assert report.lost == 0, report
            assert p.a.restarts() == pids, "a process was restarted"
            assert p.a.ids(t) == ids and p.a.ids(t, "ike") == ike, "the SAs changed"
            assert p.a.tunnel(t)["up"]
            refused = sum(v for k, v in rose.items() if k.startswith("ike.rx-") and k != "ike.rx-messages")
            dropped = sum(v for k, v in rose.items() if k.startswith("dataplane."))
            per_sa = sum(s["in_auth_failed"] + s["in_replayed"] + s["in_late"] for s in p.a.sas(t, "child"))
            if refused < COUNT // 20 or dropped + per_sa < COUNT // 20:
                raise LabError(f"of {COUNT}: IKE refused {refused}, the dataplane dropped {dropped}, its SA {per_sa}")

    with tap.case("afterwards everything still works") as say:
        for what in ("child", "ike"):
            p.a.rekey(t, what)
            p.b.rekey(p.names_b[0], what)
        p.a.down(t)
        p.a.wait_down(t)
        p.b.wait_down(p.names_b[0])
        p.a.up(t)
        wait_both_up(p)
        until("the hosts talk", lambda: ping(a.host, a.host4, b.host4, tries=1))
        assert all(n == 0 for _, n in p.a.restarts().values())


def main():
    need("ip", "ethtool", "tcpdump", "ping")
    with World("bad-input") as world:
        tap = Tap(world)
        sites = two_sites(world)
        p = pair(sites)
        p.a.config["connections"][0]["defaults"]["startup"] = "add"
        with p.a, p.b:
            cases(tap, sites, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
