# SPDX-License-Identifier: Apache-2.0
"""aims: what is aimed at, judged by the rows of a run. Every figure is a ratio of packets per second, or
a latency; a row for each whose measurements are there.

VPP 26.06's cycles per packet were measured on an AMD Zen 5 at 2.6 GHz, without its packet source, decapsulation
without anti-replay; on another CPU they say little, and its rows tell only where one stands.

Latencies are those of the median trial; `control_*` tell for how long, and for what share of the time, threads that do nothing
but look at the clock were kept from it meanwhile: a p99 that is like these is the machine's. `line_cycles` is what one CPU pays
for a cache line that the other has written.

`load` is what else runs on the machine: two workers, or worker and generator, need two CPUs for themselves."""

import os

VPP = {"esp-encap": {"64": 163, "576": 234, "1420": 333, "imix": 208},
       "esp-decap": {"64": 174, "576": 233, "1420": 341, "imix": 207}}
VPP_AIMS = {"64": 2.2, "576": 1.7, "imix": 1.9, "1420": 1.5}
VPP_CBC = 2457  # AES-256-CBC with HMAC-SHA2-256, 1420 bytes
SIZES = ("64", "576", "1420", "imix")
HELPED = 1.3  # one worker's cryptography done by two, where they share a cache: line_cycles of some 2, not 5
P99_US = 100  # at half the throughput: far below what a WAN adds


def _row(what, bench, size, figure, aim, met, **more):
    return {"bench": "aim", "what": what, "of": bench, "size": size, "figure": round(figure, 2), "aim": aim,
            "met": met, **more, "load": round(os.getloadavg()[0], 1)}


# What rows have that say nothing else.
USUAL = {"inner": 4, "outer": 4, "udp": False, "translated": False, "train": 1, "one_queue": False, "per_worker_sas": False,
         "aligned": False}


class Rows:
    def __init__(self, rows):
        self.rows = [r for r in rows if "error" not in r and "not_available" not in r]

    def last(self, **want):
        """The row with these values, the last if there are several, or None."""
        want = {"n_sas": 1, "n_workers": 1, **USUAL, **want}
        return next((r for r in reversed(self.rows) if all(r.get(k, USUAL.get(k)) == v for k, v in want.items())), None)


def _by_vpp(rows):
    plain = {"suite": "aes-256-gcm-16", "n_prefixes": 1}
    for bench, cycles in VPP.items():
        for size in SIZES:
            r = rows.last(bench=bench, size=size, **plain)
            if r:
                figure = cycles[size] / r["cycles_per_packet"]
                yield _row("times VPP's packets per second", bench, size, figure, VPP_AIMS[size],
                           figure >= VPP_AIMS[size], cycles_per_packet=r["cycles_per_packet"], vpp_cycles=cycles[size])
        r = rows.last(bench=bench, size="1420", **{**plain, "suite": "aes-256-cbc/sha2-256"})
        if r:
            figure = VPP_CBC / r["cycles_per_packet"]
            yield _row("times VPP's, AES-256-CBC with SHA2-256", bench, "1420", figure, 1.8, figure >= 1.8,
                       cycles_per_packet=r["cycles_per_packet"], vpp_cycles=VPP_CBC)


def _by_secgw(rows):
    for op in ("encap", "decap"):
        ours = rows.last(bench=f"peer-{op}", implementation="Twinbore", size="64")
        theirs = rows.last(bench=f"peer-{op}", implementation="DPDK ipsec-secgw", size="64")
        if ours and theirs:
            figure = theirs["cycles_per_packet"] / ours["cycles_per_packet"]
            yield _row("times ipsec-secgw's packets per second", f"esp-{op}", "64", figure, 2.5, figure >= 2.5)


def _share(rows, what, aim, few, many, **more):
    """Packets per second with many beside those with few."""
    for bench in VPP:
        for size in SIZES:
            a, b = (rows.last(bench=bench, size=size, suite="aes-256-gcm-16", **w) for w in (few, many))
            if a and b:
                figure = b["mpps"] / a["mpps"]
                yield _row(what, bench, size, figure, aim, figure >= aim, **more)


def _scale(rows):
    for train, text in ((1, "drawn at random"), (8, "in trains of 8"), (64, "in trains of 64")):
        sas = {"train": train, "n_prefixes": 100000}
        yield from _share(rows, f"100,000 SAs {text}, to one SA", 0.75, sas, {**sas, "n_sas": 100000})
    yield from _share(rows, "1,000,000 prefixes, to one", 0.85, {"n_prefixes": 1}, {"n_prefixes": 1000000})


def _workers(rows):
    """One worker and two took turns in one run, as did the bare AEAD, which tells what the machine gives."""
    for what, aim, want in (("64 SAs", 1.9, {"n_sas": 64, "aligned": True}),
                            ("one tunnel (RFC 9611)", 1.9, {"per_worker_sas": True}),
                            ("one SA that both work on", HELPED, {"one_queue": True})):
        for bench in VPP:
            for size in SIZES:
                r = rows.last(bench=bench, size=size, suite="aes-256-gcm-16", **{"n_workers": 2, **want})
                if r and "times_one_worker" in r:
                    yield _row(f"two workers to one, {what}", bench, size, r["times_one_worker"], aim,
                               r["times_one_worker"] >= aim, bare_aead=r["crypto_times_one_worker"],
                               line_cycles=r.get("line_cycles"))


def _aead(rows):
    for n_sas in (1, 10000):
        for bench in ("aead-seal", "aead-open"):
            for size in ("68", "580", "1424", "imix"):
                a, b = (rows.last(bench=bench, suite="aes-256-gcm-16", size=size, n_sas=n_sas, implementation="raw " + i)
                        for i in ("vaes", "ipsec-mb"))
                if a and b:
                    figure = b["cycles_per_packet"] / a["cycles_per_packet"]
                    yield _row(f"burst AES-GCM: times ipsec-mb's, {n_sas} SAs", bench, size, figure, 1, figure >= 1,
                               cycles_per_packet=a["cycles_per_packet"], ipsec_mb_cycles=b["cycles_per_packet"])


def _latency(rows):
    for op in ("encap", "decap", "both"):
        for size in SIZES:
            half = [r for r in rows.rows if r.get("bench") == "rfc2544-latency" and r["size"] == size and r["op"] == op and
                    r["ports"] == "net_ring" and r["load"] <= 0.5]
            if half:
                r = half[-1]
                lost = sum(h["lost"] for h in half)
                yield _row("microseconds, p99 at half the throughput", f"rfc2544-{op}", size, r["p99_us"], P99_US,
                           r["p99_us"] <= P99_US and not lost, lost=lost, worst_p99_us=r["worst_p99_us"],
                           control_gap_us=r["control_gap_us"], control_missing_percent=r["control_missing_percent"],
                           line_cycles=r["line_cycles"])


def rows(measured):
    r = Rows(measured)
    for part in (_by_vpp, _by_secgw, _scale, _workers, _aead, _latency):
        yield from part(r)
