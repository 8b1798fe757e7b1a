#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CLI against a fake gateway: output, exit codes, errors.

usage: test_cli.py TWINBORE

What is printed is compared with the files in snapshots/; UPDATE=1 writes them anew.
"""

import copy
import ctypes
import ctypes.util
import itertools
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from fake import (ANSWERS, BFD, CHOICE, DOCTOR, Error, EVENTS, EXPLAIN, FakeGateway, NEIGHBOR,
                  ROUTES, STATUS, TUNNELS, WHAT_IF)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TWINBORE = None


def run(*args, env=None, stdin=None, timeout=120):
    """(exit code, standard output, standard error)"""
    full = {k: v for k, v in os.environ.items()
            if k not in ("TWINBORE_SOCKET", "COLUMNS", "NO_COLOR", "TERM")}
    full.update(env or {})
    p = subprocess.run([TWINBORE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=full, input=stdin, timeout=timeout, check=False)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.gw = FakeGateway()
        self.addCleanup(self.gw.close)

    def run_cli(self, *args, **more):
        return run("--socket", self.gw.path, *args, **more)

    def snapshot(self, name, text):
        path = os.path.join(HERE, "snapshots", name + ".txt")
        if os.environ.get("UPDATE"):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(text, f.read(), name)


class Output(Case):
    def shows(self, name, *args, code=0, **more):
        got, out, err = self.run_cli(*args, **more)
        self.assertEqual((got, err), (code, ""))
        for line in out.splitlines():
            self.assertEqual(line, line.rstrip(), "blanks at the end")
        self.snapshot(name, out)

    def test_status(self):
        self.shows("status", "status")

    def test_status_degraded(self):
        self.gw.answers["status"] = dict(STATUS, state="degraded", tunnels_up=1, processes=[])
        self.gw.answers["show.tunnels"] = Error("unavailable", "ike does not answer")
        self.shows("status-degraded", "status", code=3)

    def test_narrow(self):
        self.shows("status-narrow", "status", env={"COLUMNS": "60"})
        _, out, _ = self.run_cli("status", env={"COLUMNS": "60"})
        for line in out.splitlines()[3:]:
            self.assertLessEqual(len(line), 60)

    def test_shows(self):
        for what in "connections", "tunnels", "sas", "routes", "ports", "counters":
            self.shows("show-" + what, "show", what)

    def test_counters_all(self):
        self.shows("show-counters-all", "show", "counters", "--all")

    def test_nothing_there(self):
        for method, member in (("tunnels", "tunnels"), ("sas", "sas"), ("routes", "routes"),
                               ("connections", "connections")):
            self.gw.answers["show." + method] = {"version": 1, member: []}
            self.assertEqual(self.run_cli("show", method)[0], 0)
        self.assertEqual(self.run_cli("show", "routes")[1], "no routes\n")

    def test_events(self):
        self.shows("events", "events")

    def test_explain(self):
        self.shows("explain", "explain", "site-b-2", code=3)
        self.assertEqual(self.gw.asked, [("explain", {"tunnel": "site-b-2"})])
        self.assertEqual(json.loads(self.run_cli("--json", "explain", "site-b-2")[1]), EXPLAIN)
        self.gw.answers["explain"] = dict(EXPLAIN, broken=None, mismatch=None, fix=None, up=True)
        self.assertEqual(self.run_cli("explain", "site-b-2")[0], 0)

    def test_routes_of_one_table(self):
        self.assertEqual(self.run_cli("show", "routes", "10.0.0.0/8", "--table", "blue")[0], 0)
        self.assertEqual(self.gw.asked,
                         [("show.routes", {"within": "10.0.0.0/8", "table": "blue"})])

    def test_routes_by_pages(self):
        """All pages, in order, up to a bound; beyond it with --all."""
        n = 25000

        def page(_, params):
            at = params.get("cursor", 0)
            routes = [dict(ROUTES["routes"][1], prefix="10.%d.%d.0/24" % divmod(i, 256))
                      for i in range(at, min(at + 999, n))]
            return {"version": 1, "routes": routes[::-1],
                    "next": at + 999 if at + 999 < n else None}
        self.gw.answers["show.routes"] = page
        code, out, _ = self.run_cli("show", "routes")
        lines = out.splitlines()
        shown = [line.split()[0] for line in lines[1:-1]]
        self.assertEqual((code, len(shown)), (0, 10989))
        self.assertEqual(shown[:3] + shown[-1:],
                         ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.42.236.0/24"])
        self.assertIn("--all shows everything", lines[-1])
        everything = self.run_cli("show", "routes", "--all")[1]
        self.assertEqual(everything.count("\n10."), n)
        got = json.loads(self.run_cli("show", "routes", "--json")[1])
        self.assertEqual((len(got["routes"]), got["more"], got["version"]), (10989, True, 1))
        got = json.loads(self.run_cli("show", "routes", "--json", "--all")[1])
        self.assertEqual((len(got["routes"]), got["more"]), (n, False))

    def test_how_a_route_was_chosen(self):
        self.shows("explain-route", "explain", "10.2.0.0/16")
        self.assertEqual(self.run_cli("explain", "10.2.0.1", "--table", "main")[0], 0)
        self.assertEqual(self.gw.asked, [
            ("explain.route", {"prefix": "10.2.0.0/16"}),
            ("explain.route", {"address": "10.2.0.1", "table": "main"})])
        self.assertEqual(json.loads(self.run_cli("--json", "explain", "::1")[1]), CHOICE)
        self.gw.answers["explain.route"] = {"version": 1, "tables": []}
        self.assertEqual(self.run_cli("explain", "10.9.9.9"),
                         (3, "no route leads to 10.9.9.9\n", ""))
        code, out, _ = self.run_cli("explain", "10.9.0.0/16")
        self.assertEqual((code, out.startswith("there is no route for exactly 10.9.0.0/16;")),
                         (3, True))

    def test_bgp(self):
        self.shows("show-bgp", "show", "bgp")
        self.assertEqual(self.run_cli("show", "bgp", "summary")[0], 0)
        self.gw.answers["show.bgp"] = {"version": 1, "neighbors": [NEIGHBOR]}
        self.shows("show-bgp-neighbor", "show", "bgp", "neighbor", "site-b-1")
        self.shows("show-bgp-received", "show", "bgp", "received", "site-b-1")
        self.shows("show-bgp-advertised", "show", "bgp", "advertised", "site-b-1")
        self.assertEqual(self.gw.asked, [
            ("show.bgp", {}), ("show.bgp", {}), ("show.bgp", {"tunnel": "site-b-1"}),
            ("show.bgp.received", {"tunnel": "site-b-1"}),
            ("show.bgp.advertised", {"tunnel": "site-b-1"})])
        self.gw.answers["show.bgp"] = {"version": 1, "neighbors": []}
        self.assertEqual(self.run_cli("show", "bgp"), (0, "no BGP neighbors\n", ""))
        self.gw.answers["show.bgp.received"] = {"version": 1, "routes": [], "next": None}
        self.assertEqual(self.run_cli("show", "bgp", "received", "site-b-1"),
                         (0, "it has announced nothing that is accepted\n", ""))

    def test_bfd(self):
        self.shows("show-bfd", "show", "bfd")
        self.assertEqual(json.loads(self.run_cli("show", "bfd", "--json")[1]), BFD)

    def test_what_if(self):
        self.shows("what-if", "what-if", "site-b-1", "down", code=3)
        self.assertEqual(json.loads(self.run_cli("what-if", "site-b-1", "down", "--json")[1]),
                         WHAT_IF)
        self.gw.answers["what-if"] = dict(WHAT_IF, lost=0, moves=[])
        self.assertEqual(self.run_cli("what-if", "site-b-1", "down"),
                         (0, "site-b-1 carries no prefix: nothing would change\n", ""))
        self.assertEqual(self.run_cli("what-if", "site-b-1", "up")[0], 2)

    def test_drain(self):
        self.assertEqual(self.run_cli("tunnel", "drain", "site-b-1"),
                         (0, "site-b-1: drained, 12 prefixes moved away\n", ""))
        self.assertEqual(self.run_cli("tunnel", "undrain", "site-b-1"),
                         (0, "site-b-1: may carry traffic again\n", ""))
        self.gw.answers["tunnel.drain"] = {"version": 1, "moved": 0, "stays": 1}
        self.assertEqual(self.run_cli("tunnel", "drain", "site-b-1"),
                         (3, "site-b-1: drained, 0 prefixes moved away\n"
                          "1 prefix stays on it: no other tunnel can carry it\n", ""))
        self.assertEqual(self.run_cli("tunnel", "drian", "x"),
                         (2, "", "twinbore: 'tunnel' has no 'drian'; did you mean 'drain'?\n"
                          "Try 'twinbore --help'.\n"))
        self.assertEqual(self.run_cli("tunnel", "drain", "x", "--force")[0], 2)

    def test_replace(self):
        def replace(kind, text):
            def answer(connection, params):
                self.assertEqual(params, {"tunnel": "site-b-1", "force": False, "wait_s": 5.0})
                for event in (("tunnel-drained", "12 prefixes moved away"), (kind, text)):
                    for tunnel in "site-b-2", "site-b-1":
                        line = {"event": {"kind": event[0], "tunnel": tunnel, "text": event[1]}}
                        connection.sendall(json.dumps(line).encode() + b"\n")
                return {"version": 1}
            self.gw.answers["tunnel.replace"] = answer
            return self.run_cli("tunnel", "replace", "site-b-1", "--wait", "5")
        self.assertEqual(replace("tunnel-replaced", "it was set up anew"),
                         (0, "site-b-1: 12 prefixes moved away\nsite-b-1: replaced\n", ""))
        self.assertEqual(replace("tunnel-replace-failed", "no way"),
                         (1, "site-b-1: 12 prefixes moved away\n",
                          "twinbore: site-b-1: no way\n"))

    def test_doctor(self):
        self.shows("doctor", "doctor", code=3)
        self.gw.answers["doctor"] = dict(DOCTOR, findings=[])
        self.assertEqual(self.run_cli("doctor"),
                         (0, "2 tunnels, ports and processes: nothing is wrong\n", ""))

    def test_commands(self):
        self.assertEqual(self.run_cli("up", "site-b-1"), (0, "site-b-1: coming up\n", ""))
        self.assertEqual(self.run_cli("down", "site-b-1"), (0, "site-b-1: going down\n", ""))
        self.assertEqual(self.run_cli("rekey", "site-b-1"), (0, "site-b-1: rekeying\n", ""))
        self.assertEqual(self.run_cli("rekey", "--ike", "site-b-1")[0], 0)
        self.assertEqual(self.run_cli("redirect", "site-b-1", "192.0.2.9"),
                         (0, "site-b-1: redirecting its peer\n", ""))
        self.assertEqual(self.run_cli("redirect", "site-b-1", "off"),
                         (0, "site-b-1: no longer redirected\n", ""))
        self.assertEqual(self.run_cli("redirect", "site-b-1")[0], 2)
        self.assertEqual(self.run_cli("reload"), (0, "changed: site-b-1\nunchanged: 3\n", ""))
        self.assertEqual(self.gw.asked, [
            ("up", {"tunnel": "site-b-1"}), ("down", {"tunnel": "site-b-1"}),
            ("rekey", {"tunnel": "site-b-1"}),
            ("rekey", {"tunnel": "site-b-1", "what": "ike"}),
            ("redirect", {"tunnel": "site-b-1", "to": "192.0.2.9"}),
            ("redirect", {"tunnel": "site-b-1", "to": "off"}), ("reload", {})])

    def test_help(self):
        code, out, _ = run("--help")
        self.assertEqual(code, 0)
        for word in "status show up down rekey redirect reload events check genpsk pki --socket".split():
            self.assertIn(word, out)
        self.assertEqual(run("rekey", "--help")[0], 0)
        self.assertIn("--ike", run("rekey", "-h")[1])
        self.assertRegex(run("--version")[1], r"^twinbore \d+\.\d+\.\d+\n$")

    def test_json(self):
        for args, method in ((["status"], "status"), (["show", "tunnels"], "show.tunnels"),
                             (["show", "sas"], "show.sas"), (["show", "ports"], "show.ports"),
                             (["reload"], "reload")):
            code, out, err = self.run_cli("--json", *args)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(json.loads(out), ANSWERS[method])
        code, out, _ = self.run_cli("up", "site-b-1", "--json")
        self.assertEqual((code, json.loads(out)),
                         (0, {"version": 1, "tunnel": "site-b-1", "done": "coming up"}))
        code, out, _ = self.run_cli("events", "--json")
        self.assertEqual([json.loads(line) for line in out.splitlines()], EVENTS["events"])

    def test_json_error(self):
        self.gw.answers["status"] = Error("unavailable", "nobody is at home")
        code, out, err = self.run_cli("status", "--json")
        self.assertEqual((code, err), (1, "twinbore: nobody is at home\n"))
        self.assertEqual(json.loads(out), {"version": 1, "error": {
            "code": "unavailable", "message": "nobody is at home"}})

    def test_nothing_dangerous_reaches_the_terminal(self):
        """Whatever member holds it."""
        def poison(value):
            if isinstance(value, dict):
                return {k: poison(v) for k, v in value.items()}
            if isinstance(value, list):
                return [poison(v) for v in value]
            return value + "\x1b[31m\r\n\x9b\u202e" if isinstance(value, str) else value
        for method, answer in list(self.gw.answers.items()):
            self.gw.answers[method] = poison(copy.deepcopy(answer))
        sas = self.gw.answers["show.sas"]["sas"]
        sas[0]["kind"], sas[1]["kind"] = "ike", "child"
        self.gw.answers["up"] = Error("failed", "\x1b]0;title\x07")
        for args in (["status"], ["show", "tunnels"], ["show", "sas"], ["show", "routes"],
                     ["show", "ports"], ["show", "connections"], ["show", "counters"], ["events"],
                     ["explain", "10.2.0.0/16"], ["what-if", "site-b-1", "down"],
                     ["show", "bgp"], ["show", "bgp", "neighbor", "x"],
                     ["show", "bgp", "received", "x"], ["show", "bfd"],
                     ["reload"], ["up", "site-b-1"]):
            _, out, err = self.run_cli(*args)
            self.assertNotRegex(out + err, "[\x00-\x09\x0b-\x1f\x7f-\U0010ffff]", args)

    def test_answers_of_the_wrong_kind(self):
        """No crash, whatever the types."""
        for junk in ({}, {"status": 1}, dict.fromkeys(STATUS, 3), dict.fromkeys(STATUS, "x"),
                     dict.fromkeys(STATUS, []), dict.fromkeys(STATUS, {}),
                     dict.fromkeys(STATUS, [[], {}, "x", None, 1, {"name": {}, "pid": -1}]),
                     {"tunnels": [{"in_bytes": -1, "since_s": -1e300, "mtu": 1.5}]},
                     {"sas": [{"kind": "child", "age_s": 1e300}]}, {"ike": 1, "dataplane": [1]}):
            for method in self.gw.answers:
                self.gw.answers[method] = junk
            for args in (["status"], ["show", "tunnels"], ["show", "sas"], ["show", "routes"],
                         ["show", "ports"], ["show", "connections"], ["show", "counters"],
                         ["explain", "10.2.0.0/16"], ["what-if", "site-b-1", "down"],
                         ["show", "bgp"], ["show", "bgp", "neighbor", "x"],
                         ["show", "bgp", "received", "x"], ["show", "bfd"],
                         ["tunnel", "drain", "x"], ["events"], ["reload"]):
                self.assertIn(self.run_cli(*args)[0], (0, 3), (args, junk))


class Usage(Case):
    def usage(self, *args, text):
        code, out, err = self.run_cli(*args)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(text, err)

    def test_wrong(self):
        self.usage("stauts", text="unknown command 'stauts'; did you mean 'status'?")
        self.usage("frobnicate", text="unknown command 'frobnicate'\n")
        self.usage("show", "tunels", text="did you mean 'tunnels'?")
        self.usage("show", "everything", text="there are connections, tunnels")
        self.usage("show", text="usage: twinbore show")
        self.usage("show", "tunnels", "sas", text="'show tunnels' takes nothing more")
        self.usage("show", "bgp", "neighbour", "x", text="did you mean 'neighbor'?")
        self.usage("show", "bgp", "received", text="wants the name of a tunnel")
        self.usage("show", "bgp", "summary", "x", text="takes nothing more")
        self.usage("show", "bgp", "--all", text="--all is for received and advertised")
        self.usage("show", "routes", "10.0.0.0/8", "x", text="takes nothing more")
        self.usage("show", "sas", "--table", "x", text="'show sas' takes nothing more")
        self.usage("explain", "site-b-1", "--table", "x", text="--table goes with a prefix")
        self.usage("up", text="usage: twinbore up TUNNEL")
        self.usage("status", "--folow", text="unknown option '--folow'; did you mean '--follow'?")
        self.usage("status", "--follow", text="'status' has no option --follow")
        self.usage("status", "--count", "2", text="go with --watch")
        self.usage("status", "--watch", "--count", "0", text="--count wants a number")
        self.usage("status", "--watch", "--interval", "0", text="0.1 seconds")
        self.usage("up", "x", "--wait", text="--wait wants a value")
        self.usage("up", "x", "--wait", "soon", text="--wait wants a number of seconds")
        self.usage("up", "x", "--wait=-1", text="--wait wants a number of seconds")
        self.usage("status", "--json=1", text="--json takes no value")
        self.usage("show", "tunnels", "--all", text="--all is for counters")
        self.usage("a", "b", "c", "d", "e", "f", text="too many arguments")
        self.assertEqual(self.gw.asked, [])

    def test_no_command(self):
        code, out, _ = run()
        self.assertEqual(code, 2)
        self.assertIn("usage:", out)

    def test_a_tunnel_with_a_strange_name(self):
        self.assertEqual(self.run_cli("up", "--", "--json")[0], 0)
        self.assertEqual(self.gw.asked, [("up", {"tunnel": "--json"})])
        for command in "up", "down", "rekey":  # no UTF-8, no request
            self.assertEqual(self.run_cli(command, "\udcff"),
                             (1, "", "twinbore: '\\xff' is no name of a tunnel\n"))
        self.assertEqual(len(self.gw.asked), 1)


class Failures(Case):
    def test_no_gateway(self):
        code, out, err = run("--socket", "/nonexistent/sock", "status")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("no gateway listens on /nonexistent/sock", err)
        code, _, err = run("status", env={"TWINBORE_SOCKET": "/nonexistent/other"})
        self.assertIn("/nonexistent/other", err)
        code, _, err = run("status", "--socket", "/" + "x" * 200)
        self.assertEqual(code, 1)
        self.assertIn("too long", err)

    def test_environment(self):
        self.assertEqual(run("status", env={"TWINBORE_SOCKET": self.gw.path})[0], 0)

    def test_errors_of_the_gateway(self):
        self.gw.answers["up"] = Error("no-such-tunnel", "no tunnel is named 'x'")
        self.assertEqual(self.run_cli("up", "x"), (1, "", "twinbore: no tunnel is named 'x'\n"))
        self.gw.answers["reload"] = Error("failed", "a.yaml:1:2: wrong\na.yaml:3:4: also")
        self.assertEqual(self.run_cli("reload"),
                         (1, "", "twinbore: a.yaml:1:2: wrong\ntwinbore: a.yaml:3:4: also\n"))

    def test_a_broken_gateway(self):
        for answer in (b"", b"hello\n", b"[1]\n", b'{"id":1}\n', b'{"id":1,"result":3}\n',
                       b'{"id":1,"error":7}\n', b"\xff\xfe\n", b'{"id":1,"error":{}}\n'):
            self.gw.answers["status"] = answer
            code, out, err = self.run_cli("status")
            self.assertEqual((code, out), (1, ""), answer)
            self.assertTrue(err.startswith("twinbore: "), answer)

    def test_closed_output(self):
        p = subprocess.Popen([TWINBORE, "--socket", self.gw.path, "show", "sas"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.close()
        err = p.stderr.read()
        p.stderr.close()
        self.assertEqual((p.wait(timeout=60), err), (0, b""))

    def test_full_output(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            p = subprocess.run([TWINBORE, "--socket", self.gw.path, "status"], stdout=full,
                               stderr=subprocess.PIPE, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn(b"cannot write", p.stderr)


class Waiting(Case):
    def test_up(self):
        down = copy.deepcopy(TUNNELS)
        down["tunnels"][0].update(up=False, phase="connecting", reason="no answer")
        looks = []

        def later(connection, params):
            looks.append(time.monotonic())
            return down if len(looks) < 3 else TUNNELS
        self.gw.answers["show.tunnels"] = later
        self.assertEqual(self.run_cli("up", "site-b-1", "--wait", "10"), (0, "site-b-1: up\n", ""))
        self.gw.answers["show.tunnels"] = down
        self.assertEqual(self.run_cli("up", "site-b-1", "--wait=0.3"),
                         (1, "", "twinbore: site-b-1 is not up after 0.3 seconds: no answer\n"))

    def rekey(self, kind, tunnel, *args):
        def tell(connection, params):
            event = {"event": {"kind": kind, "tunnel": tunnel}}
            connection.sendall(json.dumps(event).encode() + b"\n")  # before the answer
            return {"version": 1}
        self.gw.answers["rekey"] = tell
        return self.run_cli("rekey", "site-b-1", "--wait", "0.3", *args)

    def test_rekey(self):
        self.assertEqual(self.rekey("child-rekeyed", "site-b-1")[0], 0)
        self.assertEqual(self.rekey("ike-rekeyed", "site-b-1", "--ike")[0], 0)
        self.assertEqual(self.rekey("ike-rekeyed", "site-b-1"),
                         (1, "", "twinbore: site-b-1 was not rekeyed within 0.3 seconds\n"))
        self.assertEqual(self.rekey("child-rekeyed", "site-b-2")[0], 1)
        self.gw.answers["rekey"] = Error("failed", "it is down")
        self.assertEqual(self.run_cli("rekey", "site-b-1", "--wait", "1"),
                         (1, "", "twinbore: it is down\n"))

    def test_rekey_an_old_event_is_not_ours(self):
        self.gw.answers["events"] = {"version": 1, "events": [
            {"kind": "child-rekeyed", "tunnel": "site-b-1"}]}
        self.assertEqual(self.run_cli("rekey", "site-b-1", "--wait", "0.3")[0], 1)

    def test_follow(self):
        def stream(connection, params):
            self.assertEqual(params, {"follow": True})

            def go():
                for i in range(3):
                    event = dict(EVENTS["events"][0], text="event %d" % i)
                    connection.sendall(json.dumps({"event": event}).encode() + b"\n")
                    time.sleep(0.05)
                connection.sendall(b'{"error":{"code":"too-slow","message":"read faster"}}\n')
            threading.Timer(0.05, go).start()
            return {"version": 1, "events": EVENTS["events"][:1]}
        self.gw.answers["events"] = stream
        code, out, err = self.run_cli("events", "--follow")
        self.assertEqual((code, err), (1, "twinbore: read faster\n"))
        self.assertEqual(len(out.splitlines()), 4)
        self.assertTrue(out.endswith("event 2\n"))

    def test_watch(self):
        code, out, _ = self.run_cli("status", "--watch", "--interval", "0.1", "--count", "3")
        self.assertEqual((code, out.count("2 of 2 tunnels up")), (0, 3))
        code, out, _ = self.run_cli("status", "--watch", "--interval=0.1", "--count=2", "--json")
        values, rest = [], out.strip()
        while rest:
            value, end = json.JSONDecoder().raw_decode(rest)
            values.append(value)
            rest = rest[end:].strip()
        self.assertEqual(values, [STATUS, STATUS])

    def test_watch_over_a_restart(self):
        answers = [STATUS, b"", STATUS]

        def next_one(connection, params):
            return answers.pop(0) if answers else STATUS
        self.gw.answers["status"] = next_one
        code, out, err = self.run_cli("status", "--watch", "--interval", "0.1", "--count", "3")
        self.assertEqual((code, out.count("2 of 2 tunnels up")), (0, 2))
        self.assertIn("closed the connection", err)

    def test_watch_is_interrupted(self):
        p = subprocess.Popen([TWINBORE, "--socket", self.gw.path, "status", "--watch"],
                             stdout=subprocess.PIPE)
        p.stdout.readline()
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(timeout=60), 0)
        p.stdout.close()


class Terminal(Case):
    """On a terminal there are colours, unless somebody does not want them."""

    def on_tty(self, *args, **env):
        parent, child = pty.openpty()
        p = subprocess.Popen([TWINBORE, "--socket", self.gw.path, *args], stdout=child,
                             stderr=child, env=dict({"PATH": os.environ["PATH"]}, **env))
        os.close(child)
        out = b""
        while select.select([parent], [], [], 60)[0]:
            try:
                data = os.read(parent, 4096)
            except OSError:
                break
            if not data:
                break
            out += data
        os.close(parent)
        self.assertEqual(p.wait(timeout=60), 0)
        return out.decode()

    def test_colours(self):
        self.assertIn("\x1b[32mok\x1b[0m", self.on_tty("status", TERM="xterm"))
        for env in {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}:
            self.assertNotIn("\x1b", self.on_tty("status", **env))
        self.assertIn("\x1b", self.on_tty("status", TERM="xterm", NO_COLOR=""))

    def test_json_has_none(self):
        out = self.on_tty("status", "--json", TERM="xterm")
        self.assertEqual(json.loads(out), STATUS)

    def test_watch_clears(self):
        out = self.on_tty("status", "--watch", "--count", "2", "--interval", "0.1", TERM="xterm")
        self.assertEqual(out.count("\x1b[H\x1b[2J"), 2)


class Check(unittest.TestCase):
    maxDiff = None

    def check(self, text, *args):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "f.yaml")
            with open(path, "wb") as f:
                f.write(text.encode() if isinstance(text, str) else text)
            code, out, err = run("check", path, *args)
            return code, out.replace(path, "FILE"), err

    def test_examples(self):
        folder = os.path.join(ROOT, "docs/examples")
        for name in sorted(os.listdir(folder)):
            code, out, err = run("check", os.path.join(folder, name))
            self.assertEqual((code, err), (0, ""), name)
            first, *more = out.splitlines()
            self.assertRegex(first, r": ok: gateway \S+, \d ports?, \d connections?, \d+ tunnels$")
            with open(os.path.join(folder, name)) as f:
                watched = re.search(r"^ +(bgp|bfd|probe):", f.read(), re.M)
            # For each tunnel that something watches: how soon that notices.
            self.assertEqual(bool(more), bool(watched), out)
            for line in more:
                self.assertRegex(line, r"^tunnel \S+: if it goes silent, traffic leaves it within \S+ \(.+\)$")

    def test_errors(self):
        code, out, err = self.check("version: 1\ngateway: {name: g, usr: x}\n"
                                    "ports: [{name: \u00e4\u00f6, device: {vdev: net_null}}]\n"
                                    "dataplane:\n  hugepages: 'x\ty\x7f'\n")
        self.assertEqual((code, err), (1, ""))
        self.assertEqual(out.splitlines(), [
            "FILE:5:18: error: a control character (0x7f) stands here; only tab and line breaks "
            "are allowed",
            "    5 |   hugepages: 'x\ty?'",
            "      |                \t ^"])
        code, out, _ = self.check("version: 1\ngateway: {name: g, usr: x}\n"
                                  "ports: [{name: \u00e4\u00f6, mtu: 3}]\n")
        self.assertEqual(code, 1)
        self.assertEqual(out, (
            "FILE:2:20: error: unknown key 'usr'; did you mean 'user'?\n"
            "    2 | gateway: {name: g, usr: x}\n"
            "      |                    ^\n"
            "FILE:3:9: error: a port has no 'device'; add 'device: {pci: \"0000:3b:00.0\"}' or "
            "'device: {vdev: \"net_af_xdp,iface=eth0\"}'\n"
            "    3 | ports: [{name: \u00e4\u00f6, mtu: 3}]\n"
            "      |         ^\n"
            "FILE:3:9: error: a port has no 'addresses'; add 'addresses: [192.0.2.1/24]'\n"
            "    3 | ports: [{name: \u00e4\u00f6, mtu: 3}]\n"
            "      |         ^\n"
            "FILE:3:16: error: '\\xc3\\xa4\\xc3\\xb6' is no name; a name begins with a letter or "
            "digit and goes on with letters, digits, '.', '_' and '-'\n"
            "    3 | ports: [{name: \u00e4\u00f6, mtu: 3}]\n"
            "      |                ^\n"
            "FILE:3:25: error: 3 is out of range; allowed are 576 to 9216\n"
            "    3 | ports: [{name: \u00e4\u00f6, mtu: 3}]\n"
            "      |                         ^\n"))

    def test_warnings_are_no_failure(self):
        with open(os.path.join(ROOT, "docs/examples/site-a.yaml"), encoding="utf-8") as f:
            text = f.read().replace("pfs: [31, 20]", "pfs: none")
        code, out, _ = self.check(text)
        self.assertEqual(code, 0)
        self.assertIn(": warning: without PFS", out)
        self.assertIn(": ok: ", out)

    def test_ml_kem(self):
        """A file that asks for it is told, before the tunnel is, where libcrypto has none."""
        libcrypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
        libcrypto.EVP_KEYMGMT_fetch.restype = ctypes.c_void_p
        has = libcrypto.EVP_KEYMGMT_fetch(None, b"ML-KEM-768", None) is not None
        consequences = {"require": "the tunnel would stay down", "prefer": "it goes without", "off": None}
        for where, (pq, what) in itertools.product(("ike", "esp"), consequences.items()):
            with open(os.path.join(ROOT, "docs/examples/site-a.yaml"), encoding="utf-8") as f:
                text = f.read().replace("      %s:\n" % where, "      %s:\n        pq: %s\n" % (where, pq), 1)
            line = 1 + text[:text.index("pq: ")].count("\n")
            code, out, _ = self.check(text)
            self.assertEqual(code, 0)
            self.assertEqual("FILE:%d:1: warning:" % line in out, bool(what) and not has, out)
            self.assertEqual("ML-KEM is not available" in out, bool(what) and not has)
            if what and not has:
                self.assertIn(what, out)

    def test_json(self):
        code, out, _ = self.check("version: 2\n", "--json")
        value = json.loads(out)
        self.assertEqual((code, value["ok"], value["file"]), (1, False, "FILE"))
        self.assertIn({"line": 1, "column": 10,
                       "text": "2 is out of range; allowed are 1 to 1"}, value["errors"])
        code, out, _ = run("check", "--json", os.path.join(ROOT, "docs/examples/site-b.yaml"))
        self.assertEqual((code, json.loads(out)["ok"]), (0, True))

    def test_standard_input(self):
        code, out, _ = run("check", "-", stdin=b"version: 1\n\t\n x: [")
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith("standard input:"), out)

    def test_no_file(self):
        code, out, err = run("check", "/nonexistent")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("cannot read /nonexistent: No such file", err)
        self.assertEqual(run("check", "/")[0], 1)

    def test_binary(self):
        code, out, _ = self.check(bytes(range(256)) * 10)
        self.assertEqual(code, 1)
        self.assertNotRegex(out, "[\x00-\x08\x0b-\x1f\x7f]")
        code, out, _ = self.check(b"version: 1\n\x1b[2J\xe2\x80\xae: 1\n")
        self.assertEqual(code, 1)
        self.assertNotRegex(out, "[\x00-\x08\x0b-\x1f\x7f\u202e]")


class Genpsk(unittest.TestCase):
    FORM = re.compile(r"^[A-Za-z1-9._][A-Za-z0-9._]{31}\n$")

    def test_form(self):
        keys = set()
        for _ in range(60):
            code, out, err = run("genpsk")
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out, self.FORM)
            keys.add(out)
        self.assertEqual(len(keys), 60)
        # 1,920 characters of 64: each is there, unless the generator favours some (p < 1e-11).
        self.assertEqual(len(set("".join(keys)) - {"\n"}), 64)

    def test_json(self):
        self.assertRegex(json.loads(run("genpsk", "--json")[1])["psk"] + "\n", self.FORM)

    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.psk")
            old = os.umask(0)
            try:
                code, out, err = run("genpsk", "--out", path)
            finally:
                os.umask(old)
            self.assertEqual((code, out), (0, ""))
            with open(path, encoding="ascii") as f:
                text = f.read()
            self.assertRegex(text, self.FORM)
            self.assertNotIn(text.strip(), err)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            # Never over another key, nor through a link.
            code, out, err = run("genpsk", "--out", path)
            self.assertEqual(code, 1)
            self.assertIn("exists", err)
            link = os.path.join(folder, "link")
            os.symlink(os.path.join(folder, "target"), link)
            self.assertEqual(run("genpsk", "--out", link)[0], 1)
            self.assertFalse(os.path.exists(os.path.join(folder, "target")))
            self.assertEqual(run("genpsk", "--out", folder + "/no/such")[0], 1)
            with open(path, encoding="ascii") as f:
                self.assertEqual(f.read(), text)
            code, out, _ = run("genpsk", "--json", "--out", os.path.join(folder, "b.psk"))
            self.assertEqual(json.loads(out)["file"], os.path.join(folder, "b.psk"))

    def test_full(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            p = subprocess.run([TWINBORE, "genpsk"], stdout=full, stderr=subprocess.PIPE,
                               check=False)
        self.assertEqual(p.returncode, 1)


if __name__ == "__main__":
    TWINBORE = sys.argv.pop(1)
    unittest.main(verbosity=2)
