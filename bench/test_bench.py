# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run, their rows are complete and hang together. No speed is asserted.

    test_bench.py DP_BENCH TABLE_BENCH RFC2544_BENCH [AEAD_BENCH]
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import aims, bgp, plot  # noqa: E402

DP_BENCH, TABLE_BENCH, RFC2544_BENCH = sys.argv[1:4]
AEAD_BENCH = sys.argv[4:5]


def load_run():
    """bench/run as a module, with the programs that are there."""
    loader = importlib.machinery.SourceFileLoader("bench_run", str(Path(__file__).with_name("run")))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    module.BUILD = Path(DP_BENCH).parent.parent
    module.build = lambda programs: None
    return module


RUN = load_run()
MEAN = {"64": 64, "1420": 1420, "imix": (7 * 64 + 4 * 594 + 1518) / 12}


def rows(*argv):
    r = subprocess.run([*argv, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


def esp(*argv):
    return rows(DP_BENCH, "--rounds", "8", "--no-huge", *argv)


class Bench(unittest.TestCase):
    def sane(self, r):
        for key in ("mpps", "gbps", "cycles_per_packet", "crypto_cycles_per_packet", "ratio_to_crypto"):
            self.assertGreater(r[key], 0, (key, r))
        self.assertAlmostEqual(r["gbps"], r["mpps"] * MEAN[r["size"]] * 8 / 1e3, delta=0.01 * r["gbps"] + 0.01)
        self.assertAlmostEqual(r["ratio_to_crypto"], r["cycles_per_packet"] / r["crypto_cycles_per_packet"],
                               delta=0.01 * r["ratio_to_crypto"])  # all three are rounded
        # every second batch is one worker's, where it needs no other; with one queue all are
        workers = 2 if r["one_queue"] else 1 + r["n_workers"] if "cycles_alone" in r else 2 * r["n_workers"]
        self.assertEqual((r["packets"], r["checked"]), (4 * 256 * workers, 256 * workers))
        self.assertEqual(r["batches"], 8)
        self.assertLessEqual(r["disturbed"], 8)

    def test_operations_and_sizes(self):
        got = esp("--op", "encap,decap,both", "--size", "64,1420,imix")
        self.assertEqual([(r["bench"], r["size"]) for r in got],
                         [(b, s) for b in ("esp-encap", "esp-decap", "esp-both") for s in ("64", "1420", "imix")])
        for r in got:
            self.sane(r)
            self.assertEqual(r["suite"], "aes-256-gcm-16")

    def test_many(self):
        got = esp("--size", "64", "--sas", "1,300", "--prefixes", "1,1000")
        self.assertEqual([(r["n_sas"], r["n_prefixes"]) for r in got if r["bench"] == "esp-encap"],
                         [(1, 1), (1, 1000), (300, 300), (300, 1000)])
        for r in got:
            self.sane(r)

    def test_workers(self):
        for more in (["--sas", "10"], ["--sas", "10", "--aligned", "--train", "8"], ["--per-worker", "--op", "encap"], ["--one-queue"]):
            for r in esp("--size", "64", "--workers", "2", *more):
                self.sane(r)
                self.assertEqual(r["n_workers"], 2)
                self.assertEqual("times_one_worker" in r, more != ["--sas", "10"])
                self.assertEqual("crypto_times_one_worker" in r, more != ["--sas", "10"])

    def test_kinds_of_tunnels(self):
        """As every packet of the first batches is opened by the peer, what is not as it should be fails."""
        for more, forms in ((["--inner", "4,6", "--outer", "4,6"], [(i, o, False, False) for i in (4, 6) for o in (4, 6)]),
                            (["--inner", "6", "--outer", "6", "--udp", "--translate"], [(6, 6, True, True)]),
                            (["--udp", "--translate"], [(4, 4, True, True)])):
            got = esp("--size", "imix", *more)
            self.assertEqual([tuple(r[k] for k in ("inner", "outer", "udp", "translated")) for r in got if r["bench"] == "esp-encap"],
                             forms)
            for r in got:
                self.sane(r)

    def test_trains(self):
        got = esp("--size", "64", "--op", "encap", "--sas", "16", "--train", "1,8")
        self.assertEqual([r["train"] for r in got], [1, 8])

    def test_suites(self):
        got = esp("--size", "1420", "--suite", "aes-256-cbc/sha2-256,chacha20-poly1305")
        self.assertEqual({r["suite"] for r in got}, {"aes-256-cbc/sha2-256", "chacha20-poly1305"})
        for r in got:
            self.sane(r)

    def test_in_pieces(self):
        """Every packet of the first batches is opened by another backend, and compared byte by byte."""
        for pieces in ("100", "1001"):
            for r in esp("--size", "1420,imix", "--suite", "aes-256-gcm-16,aes-256-cbc/sha2-256", "--pieces", pieces):
                self.sane(r)

    def test_refused(self):
        for argv in (["--size", "none"], ["--batch", "100"], ["--op", "x"], ["--inner", "5"], ["--train", "0"], ["more"]):
            self.assertEqual(subprocess.run([DP_BENCH, *argv], capture_output=True).returncode, 2, argv)
        r = subprocess.run([DP_BENCH, "--backend", "none"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 1)
        self.assertIn("none", r.stderr)

    def rfc2544(self, *argv, ops=("encap",), sizes=("imix",)):
        got = rows(RFC2544_BENCH, "--op", ",".join(ops), "--size", ",".join(sizes), "--trial", "0.002", "--repeats", "1", "--trials", "2",
                   "--load", "10,50", "--no-realtime", *argv)
        kinds = ("rfc2544-throughput", "rfc2544-latency", "rfc2544-loss", "rfc2544-back-to-back")
        self.assertLessEqual({(r["bench"], r["op"], r["size"]) for r in got},
                             {(b, o, s) for b in kinds for o in ops for s in sizes})
        # a machine with other work on it may lose a packet at any rate: no latency is measured then
        self.assertLessEqual({("rfc2544-throughput", o, s) for o in ops for s in sizes},
                             {(r["bench"], r["op"], r["size"]) for r in got})
        for r in got:
            self.assertLessEqual(r["lost"], r["sent"])
            self.assertLessEqual(r["p50_us"], r["p99_us"] + 0.01)
            if r["bench"] == "rfc2544-latency":
                self.assertIn(r["load"], (0.1, 0.5))
                self.assertEqual(r["trials"], 2)
                self.assertLessEqual(r["p99_us"], r["worst_p99_us"])
                self.assertLessEqual(r["lost"], r["lost_in_all"])
                for key in ("control_gap_us", "line_cycles", "search_line_cycles"):
                    self.assertEqual(key in r, r["ports"] != "own", key)
        return {r["ports"] for r in got}

    def test_rfc2544(self):
        self.assertEqual(self.rfc2544(ops=("encap", "decap", "both")), {"net_ring"})

    def test_rfc2544_in_two_processes(self):
        self.assertEqual(self.rfc2544("--memif", ops=("both",), sizes=("64",)), {"net_memif"})

    def test_rfc2544_refused(self):
        for argv in (["--op", "x"], ["--load", "0"], ["--suite", "none"], ["--trials", "0"],
                     ["--lan", "net_null0", "--wan", "net_null1", "--op", "decap"]):
            self.assertEqual(subprocess.run([RFC2544_BENCH, *argv], capture_output=True).returncode, 2, argv)

    def test_rfc2544_with_ports_of_its_own(self):
        with tempfile.TemporaryDirectory() as d:
            ends = [f"net_memif{i},role={role},socket={d}/s,socket-abstract=no" for i, role in enumerate(("server", "client"))]
            self.assertEqual(self.rfc2544("--lan", ends[0], "--wan", ends[1]), {"own"})

    def run_all(self, *argv):
        """bench/run itself: what it returned, and its rows."""
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            sys.argv[1:] = argv
            code = RUN.main()
        return code, out.getvalue()

    def test_sections(self):
        """Every row of every section has the fields that all have; those of the dataplane and of the AEAD mean something."""
        sections = ["ring", "fib", "failover"] + ["aead"] * bool(AEAD_BENCH)
        got = []
        for argv in (sections, ["prefixes", "--", "--prefixes", "1,1000"]):
            code, text = self.run_all("--quick", "--json", *argv)
            self.assertEqual(code, 0)
            got += [json.loads(line) for line in text.splitlines()]
        for r in got:
            self.assertLessEqual(set(RUN.FIELDS), set(r), r)
            if r["bench"].startswith(("esp-", "aead-")):
                self.assertNotIn(None, [r[f] for f in RUN.FIELDS], r)
        by = {b: [r for r in got if r["bench"] == b] for b in ("esp-encap", "ring", "fib", "failover")}
        self.assertEqual({r["n_prefixes"] for r in by["esp-encap"]}, {1, 1000})
        self.assertGreater(by["ring"][0]["messages_per_second"], 0)
        for r in by["fib"]:
            self.assertGreater(min(r["lookup_cycles_per_packet"], r["adds_per_second"], r["deletes_per_second"]), 0)
        self.assertEqual([r["n_prefixes"] for r in by["failover"]], [1, 1000])

    def test_table(self):
        usual = {"bench": "esp-encap", "suite": "aes-256-gcm-16", "size": "64", "n_workers": 1, "inner": 4, "outer": 4, "udp": False,
                 "translated": False, "aligned": False, "per_worker_sas": False, "one_queue": False, "train": 1}
        with contextlib.redirect_stdout(io.StringIO()) as out:
            t = RUN.Table()
            t.print({**usual, "cycles_per_packet": 100.25})
            t.print({**usual, "cycles_per_packet": 1000.0, "inner": 6, "udp": True, "train": 8})
            t.print({"bench": "aim", "mpps": None, "met": False})
        self.assertEqual([line.split() for line in out.getvalue().splitlines()], [
            [], ["bench", "suite", "size", "workers", "how", "cycles"],
            ["esp-encap", "aes-256-gcm-16", "64", "1", "100.25"],
            ["esp-encap", "aes-256-gcm-16", "64", "1", "6", "in", "4,", "UDP,", "trains", "of", "8", "1,000"],
            [], ["bench", "met"], ["aim", "NO"]])

    def test_run_refuses(self):
        for argv in (["nothing"], ["--rows", "/nonexistent"], ["--rows", __file__]):
            with self.assertRaises(SystemExit) as e:
                self.run_all(*argv)
            self.assertEqual(e.exception.code, 2, argv)

    @unittest.skipUnless(AEAD_BENCH, "only for x86-64")
    def test_aead(self):
        got = rows(*AEAD_BENCH, "--rounds", "10", "--suite", "cm-16")
        self.assertEqual({r["suite"] for r in got}, {f"aes-{n}-gcm-16" for n in (128, 192, 256)})
        self.assertEqual({r["n_sas"] for r in got}, {1, 10000})
        for r in rows(*AEAD_BENCH, "--rounds", "10", "--sas", "1") + got:
            self.assertGreater(min(r["cycles_per_packet"], r["mpps"], r["gbps"]), 0, r)

    def test_aims(self):
        few = {"bench": "esp-encap", "suite": "aes-256-gcm-16", "size": "64", "n_sas": 1, "n_prefixes": 1, "n_workers": 1,
               "per_worker_sas": False, "aligned": False, "train": 1, "cycles_per_packet": 100.0, "mpps": 26.0}
        got = list(aims.rows([few, {**few, "n_prefixes": 1000000, "mpps": 23.4}, {"bench": "esp-encap", "error": "x"}]))
        self.assertEqual([(r["what"], r["figure"], r["met"]) for r in got],
                         [("times VPP's packets per second", 1.63, False), ("1,000,000 prefixes, to one", 0.9, True)])

    def test_bgp(self):
        got = list(bgp.rows(Path(DP_BENCH).parent.parent, quick=True, only="Twinbore"))
        feed = [r for r in got if "bfd_downs" in r]
        got = [r for r in got if r not in feed]
        self.assertEqual([r.get("step") for r in feed], ["announced", "first falls"], feed)
        for r in feed:
            self.assertEqual((r["n_routes"], r["dpd_timeouts"], r["restarts"]), (sum(bgp.QUICK), 0, 0), r)
            self.assertGreater(min(r["seconds"], r["dpd_sent"], r["sent"] - r["lost"]), 0, r)
        self.assertEqual([(r["peer"], r.get("step")) for r in got],
                         [(p, s) for p in ("Twinbore, RIB alone", "Twinbore, RIB and FIB")
                          for s in ("announced", "second neighbour", "first falls", "second falls")], got)
        for r in got:
            self.assertEqual(r["n_routes"], bgp.QUICK[0] + bgp.QUICK[1])
            self.assertGreater(min(r["seconds"], r["cpu_ms"], r["rss_mb"], r["longest_step_us"]), 0)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is missing")
    def test_plots(self):
        with tempfile.TemporaryDirectory() as d:
            made = plot.draw(esp("--size", "64,1420", "--suite", "aes-256-gcm-16,aes-128-gcm-16"), Path(d))
            self.assertEqual({p.name for p in made}, {"encap-sizes.png", "decap-sizes.png", "suites.png"})
            for p in made:
                self.assertTrue(p.read_bytes().startswith(b"\x89PNG"), p)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
