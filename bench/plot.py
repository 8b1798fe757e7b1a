# SPDX-License-Identifier: Apache-2.0
"""plot: draws rows of bench/run with gnuplot."""

import shutil
import subprocess

from bench.table import HEADS

SIZES = ["64", "128", "256", "512", "576", "1024", "1280", "1420", "imix"]
STYLE = """set terminal pngcairo size 1000,620 noenhanced font "Sans,11"
set output "{path}"
set title "{title}"
set grid ytics
set key top left
set rmargin 5
set yrange [0:*]
"""


def _write(path, title, body, data):
    text = STYLE.format(path=path, title=title)
    for name, lines in data.items():
        text += f"${name} << EOD\n" + "\n".join(lines) + "\nEOD\n"
    subprocess.run(["gnuplot"], input=text + body, text=True, check=True)
    return path


USUAL = {"inner": 4, "outer": 4, "udp": False, "translated": False, "train": 1}


def _pick(rows, **want):
    """Rows of the usual kind with these values."""
    return [r for r in rows if all(r.get(k) == v for k, v in want.items()) and r.get("cycles_per_packet") and
            all(r.get(k, v) == v for k, v in USUAL.items())]


def _bars(rows, op, path):
    """Cycles by size: cryptography, and what is around it."""
    mine = {r["size"]: r for r in _pick(rows, bench=op, suite="aes-256-gcm-16", n_sas=1, n_prefixes=1, n_workers=1,
                                        per_worker_sas=False)}
    lines = [f'"{s}" {mine[s]["crypto_cycles_per_packet"]} '
             f'{mine[s]["cycles_per_packet"] - mine[s]["crypto_cycles_per_packet"]}' for s in SIZES if s in mine]
    if not lines:
        return None
    return _write(path, f"{op}, AES-256-GCM, one worker: cycles per packet by inner size",
                  'set style data histograms\nset style histogram rowstacked\nset style fill solid 0.8 border -1\n'
                  'set boxwidth 0.7\nset ylabel "TSC cycles per packet"\n'
                  'plot $d using 2:xtic(1) title "AEAD alone", "" using 3 title "everything else"\n', {"d": lines})


def _lines(rows, key, title, path, **want):
    """Cycles over a growing number of SAs or prefixes."""
    data, plots = {}, []
    for op in ("esp-encap", "esp-decap"):
        for size in ("64", "1420", "imix"):
            of = sorted({r[key]: r["cycles_per_packet"] for r in _pick(rows, bench=op, size=size, n_workers=1,
                                                                      suite="aes-256-gcm-16", **want)}.items())
            if len(of) > 1:
                name = f"d{len(data)}"
                data[name] = [f"{x} {y}" for x, y in of]
                plots.append(f'${name} using 1:2 with linespoints title "{op} {size}"')
    if not plots:
        return None
    return _write(path, title, f'set logscale x\nset xlabel "{HEADS[key]}"\nset ylabel "TSC cycles per packet"\nplot ' + ", ".join(plots) + "\n", data)


def _suites(rows, path):
    lines = []
    for suite in dict.fromkeys(r["suite"] for r in rows if r.get("suite")):
        of = [_pick(rows, bench=op, suite=suite, size="1420", n_sas=1, n_prefixes=1, n_workers=1, per_worker_sas=False)
              for op in ("esp-encap", "esp-decap")]
        if all(of):
            lines.append(f'"{suite}" {of[0][-1]["gbps"]} {of[1][-1]["gbps"]}')
    if len(lines) < 2:
        return None
    return _write(path, "One worker, 1420-byte packets: Gbit/s of inner bits by suite",
                  'set style data histograms\nset style fill solid 0.8 border -1\nset xtics rotate by -30\n'
                  'set key top right\nset ylabel "Gbit/s"\n'
                  'plot $d using 2:xtic(1) title "encapsulation", "" using 3 title "decapsulation"\n', {"d": lines})


def _latency(rows, op, path):
    data, plots = {}, []
    for size in ("64", "576", "1420"):
        of = sorted((r["load"], r["p50_us"], r["p99_us"]) for r in rows
                    if r.get("bench") == "rfc2544-latency" and r["op"] == op and r["size"] == size and r["ports"] == "net_ring")
        if of:
            name = f"d{len(data)}"
            data[name] = [f"{100 * x} {a} {b}" for x, a, b in of]
            plots += [f'${name} using 1:2 with linespoints title "{size} B p50"',
                      f'${name} using 1:3 with linespoints title "{size} B p99"']
    if not plots:
        return None
    return _write(path, f"Latency by load, {op}, one worker, generator on the other core",
                  'set logscale y\nset yrange [0.1:*]\nset xlabel "% of the throughput"\nset ylabel "microseconds"\nplot ' +
                  ", ".join(plots) + "\n", data)


def _peers(rows, path):
    names = list(dict.fromkeys(r["implementation"] for r in rows if r.get("bench") == "peer-encap" and
                               r.get("cycles_per_packet")))
    lines = []
    for size in ("64", "576", "1420"):
        of = [_pick(rows, bench="peer-encap", implementation=n, size=size) for n in names]
        if of and all(of):
            lines.append(f'"{size}" ' + " ".join(str(r[0]["cycles_per_packet"]) for r in of))
    if not lines:
        return None
    plots = ", ".join(f'{"$d" if i == 0 else chr(34) * 2} using {i + 2}{":xtic(1)" if i == 0 else ""} title "{n}"'
                      for i, n in enumerate(names))
    return _write(path, "Encapsulation, AES-256-GCM, one core, packet source not counted",
                  'set style data histograms\nset style fill solid 0.8 border -1\nset ylabel "TSC cycles per packet"\nplot ' +
                  plots + "\n", {"d": lines})


def check():
    if not shutil.which("gnuplot"):
        raise SystemExit("bench/run: --plot needs gnuplot: sudo tools/setup installs it")


def draw(rows, folder):
    """Draws what the rows suffice for; the paths."""
    check()
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        _bars(rows, "esp-encap", folder / "encap-sizes.png"),
        _bars(rows, "esp-decap", folder / "decap-sizes.png"),
        _suites(rows, folder / "suites.png"),
        _lines(rows, "n_sas", "Cycles per packet by number of SAs, one worker", folder / "sas.png", n_prefixes=100000),
        _lines(rows, "n_prefixes", "Cycles per packet by number of prefixes, one worker, one SA",
               folder / "prefixes.png", n_sas=1),
        *(_latency(rows, op, folder / f"latency-{op}.png") for op in ("encap", "decap", "both")),
        _peers(rows, folder / "peers.png"),
    ]
    return [p for p in made if p]
