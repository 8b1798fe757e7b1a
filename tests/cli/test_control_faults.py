#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control process and hostile clients, processes that fail, and those that follow its events.

usage: test_control_faults.py HARNESS [TEST...]
"""

import os
import random
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from control_case import Case, harness, main
from gateway import Gateway, Peer, process, send, until


class Lines(Case):
    def test_id_is_echoed(self):
        c = self.client()
        for ident in 1, -5, 1.5, "a", "", 2**53:
            c.send({"id": ident, "method": "show.routes"})
            self.assertEqual(c.line()["id"], ident)
        c.send({"method": "show.routes", "unknown": [1, {"a": None}]})
        self.assertIsNone(c.line()["id"])
        for ident in [], {}, True, None:
            c.send({"id": ident, "method": "show.routes"})
            answer = c.line()
            self.assertEqual((answer["id"], answer["error"]["code"]), (None, "bad-params"))

    def test_methods(self):
        c = self.client()
        self.assertEqual(c.error("show.tunels")["message"],
                         "no method is named 'show.tunels'; the nearest is 'show.tunnels'")
        self.assertEqual(c.error("exec")["code"], "no-such-method")
        c.send({"id": 1, "method": 3}, {"id": 1}, {"id": 1, "method": "status", "params": []})
        for _ in range(3):
            self.assertEqual(c.line()["error"]["code"], "bad-params")

    def test_what_is_no_object(self):
        c = self.client()
        lines = [b"hello", b"[]", b"1", b'"a"', b"{", b"{}{}", b'{"a":1,"a":2}', b"\x00\x01\xff",
                 b'{"method":"st\xff"}', b'{"method":"a\\u0000b"}', b"[" * 5000, b"{\"a\":" * 5000,
                 b'{"id":1e999}', b'{"id":"\\ud800"}']
        for line in lines:
            c.raw(line + b"\n")
            answer = c.line()
            self.assertEqual((answer["id"], answer["error"]["code"]), (None, "parse"), line)
        c.raw(b"\n\n\r\n")  # empty lines; a carriage return is white space, but no object
        self.assertEqual(c.line()["error"]["code"], "parse")
        self.assertTrue(c.result("show.routes"))

    def test_pieces(self):
        c = self.client()
        for byte in b'{"id":1,"method":"show.routes"}\n{"id":2,':
            c.raw(bytes([byte]))
        self.assertEqual(c.line()["id"], 1)
        self.assertTrue(c.quiet())
        c.raw(b'"method":"show.routes"}\n')
        self.assertEqual(c.line()["id"], 2)

    def test_longest_line(self):
        c = self.client()
        head = b'{"id":1,"method":"show.routes","x":"'
        c.raw(head + b"a" * (65536 - len(head) - 3) + b'"}\n')
        self.assertIn("result", c.line())
        c.raw(head + b"a" * (65537 - len(head) - 3) + b'"}\n')
        self.assertEqual(c.line()["error"]["code"], "too-long")
        self.assertTrue(c.result("show.routes"))
        c.raw(b"a" * 1000000)
        self.assertEqual(c.line()["error"]["code"], "too-long")
        self.assertTrue(c.quiet())
        c.raw(b"\n")
        self.assertTrue(c.result("show.routes"))

    def test_answers_in_order(self):
        """Also when the first answer is the slowest."""
        def late(ident, arg):
            time.sleep(0.3)
            return {}
        self.ike.answers["up"] = late
        c = self.client()
        n = 50
        c.send({"id": 0, "method": "up", "params": {"tunnel": "one-1"}},
               *({"id": i, "method": ("show.ports", "nonsense", "show.routes")[i % 3]}
                 for i in range(1, n)))
        self.assertEqual([c.line()["id"] for _ in range(n)], list(range(n)))

    def test_half_close(self):
        c = self.client()
        c.raw(b'{"id":1,"method":"status"}\n{"id":2,"method":"show.routes"}\n{"id":3')
        c.sock.shutdown(socket.SHUT_WR)
        self.assertEqual([c.line()["id"], c.line()["id"], c.line()], [1, 2, None])

    def test_leaves_in_the_middle(self):
        for _ in range(20):
            c = self.client()
            c.raw(b'{"id":1,"method":"up","params":{"tunnel":"one-1"}}\n')
            c.close()
        self.assertTrue(until(lambda: len(self.ike.asked) == 20))
        self.assertTrue(self.client().result("show.routes"))

    def test_many_clients(self):
        clients = [self.client() for _ in range(64)]
        for c in clients:
            self.assertTrue(c.result("show.routes"))
        extra = self.client()
        self.assertEqual(extra.line()["error"]["code"], "unavailable")
        self.assertIsNone(extra.line())
        self.assertTrue(clients[0].result("show.routes"))
        clients[1].close()

        def served():
            try:
                return "result" in self.client().call("show.routes")
            except (BrokenPipeError, TypeError):
                return False
        self.assertTrue(until(served))

    def test_mutations(self):
        """Every line gets one answer, whatever stands in it."""
        seed = random.randrange(1 << 32)
        print("seed", seed, end=" ", flush=True)
        r = random.Random(seed)
        good = [b'{"id":1,"method":"status","params":{}}',
                b'{"id":"a","method":"rekey","params":{"tunnel":"one-1","what":"ike"}}',
                b'{"id":2,"method":"show.routes"}']
        c = self.client()
        for _ in range(3000):
            line = bytearray(r.choice(good))
            for _ in range(r.randrange(4)):
                at = r.randrange(len(line))
                what = r.randrange(3)
                if what == 0:
                    line[at] ^= 1 << r.randrange(8)
                elif what == 1:
                    del line[at:at + r.randrange(1, 9)]
                    line = line or bytearray(b"x")
                else:
                    line[at:at] = line[r.randrange(len(line)):][:r.randrange(20)]
            line = bytes(line).replace(b"\n", b" ")
            c.raw(line + b"\n")
            answer = c.line()
            self.assertTrue(("result" in answer) != ("error" in answer), (line, answer))
            if "result" in answer:
                self.assertEqual(answer["result"]["version"], 1)
        self.assertTrue(c.quiet(0.05))

    def test_memory_stays(self):
        """Thousands of requests of every kind, and connections, leave nothing behind."""
        def resident():
            with open("/proc/%d/status" % self.gw.process.pid, encoding="ascii") as f:
                return int(next(line for line in f if line.startswith("VmRSS")).split()[1])

        def load(n):
            for i in range(n):
                c = self.gw.client()
                for method in "status", "show.tunnels", "show.sas", "show.ports", "nonsense":
                    c.call(method)
                c.call("up", tunnel="x" * 100)
                c.raw(b"{" * 100 + b"\n")
                c.line()
                c.close()
        load(50)
        before = resident()
        load(300)
        self.assertLess(resident() - before, 1000)

    def test_who_does_not_read(self):
        """Its answers wait; nobody else does."""
        routes = [{"prefix": "10.0.0.0/8", "connection": "x" * 1000}] * 1000
        self.route.answers["routes"] = {"routes": routes, "next": None}
        c = self.client()
        c.send(*({"id": i, "method": "show.routes"} for i in range(30)))
        other = self.client()
        self.assertEqual(len(other.result("show.routes")["routes"]), 1000)
        for i in range(30):
            self.assertEqual(c.line()["id"], i)


class Processes(Case):
    def test_silence(self):
        self.ike.answers["sas"] = None
        slow, quick = self.client(), self.client()
        for _ in range(10):  # a machine that stands still lets both wait
            begin = time.monotonic()
            slow.send({"id": 1, "method": "show.sas"})
            self.assertTrue(quick.result("show.routes"))
            nobody_else_waits = slow.quiet(0)
            self.assertEqual(slow.line()["error"],
                             {"code": "unavailable", "message": "the ike process does not answer"})
            self.assertGreater(time.monotonic() - begin, 1.9)
            if nobody_else_waits:
                break
        self.assertTrue(nobody_else_waits)

    def test_late_answer_is_dropped(self):
        idents = []

        def remember(ident, arg):
            idents.append(ident)
        self.ike.answers["sas"] = remember
        c = self.client()
        self.assertEqual(c.error("show.sas")["code"], "unavailable")
        self.ike.reply(idents[0], [])
        self.ike.reply(12345, [])
        self.assertTrue(c.result("show.routes"))
        self.assertTrue(c.quiet())

    def test_status_shows_what_there_is(self):
        self.ike.close()
        s = self.client().result("status")
        self.assertEqual((s["state"], s["tunnels_up"], s["tunnels_configured"]), ("degraded", 0, 3))
        self.assertEqual(len(s["processes"]), 2)
        self.supervisor.close()
        self.route.close()
        s = self.client().result("status")
        self.assertEqual((s["state"], s["processes"]), ("degraded", []))
        self.assertNotIn("routes", s)

    def test_end_and_return(self):
        def die(ident, arg):
            self.ike.close()
        self.ike.answers["sas"] = die
        for error in self.client().error("show.sas"), self.client().error("up", tunnel="one-1"):
            self.assertEqual(error["code"], "unavailable")
            self.assertNotIn("does not answer", error["message"])  # nobody waited for one
        self.gw.attach(Peer("IKE"))
        self.gw.good_answers()
        self.assertTrue(until(lambda: "result" in self.client().call("show.sas")))

    def test_long_answer_in_parts(self):
        routes = [{"prefix": "10.%d.%d.0/24" % (i // 256, i % 256)} for i in range(20000)]
        self.route.answers["routes"] = lambda ident, arg: self.route.reply(
            ident, {"routes": routes}, part=9999)
        self.assertEqual(self.client().result("show.routes")["routes"], routes)

    def test_nonsense(self):
        c = self.client()
        for text in b"", b"[", b"\xff", b"[" * 100000:
            self.route.answers["routes"] = lambda ident, arg: self.route.reply(ident, text)
            self.assertEqual(c.error("show.routes")["code"], "unavailable", text[:10])
        # Of the right form, but not of the right kind.
        self.ike.answers["tunnels"] = {"name": 3}
        self.route.answers["routes"] = [1, {"connection": 5}, {"connection": "one"}]
        self.assertEqual(c.result("status")["tunnels_up"], 0)
        self.ike.answers["sas"] = ["x", {"slot": -1}, {"slot": "5"}, {"slot": 1 << 62}]
        self.assertEqual(len(c.result("show.sas")["sas"]), 4)
        self.supervisor.answers["reload"] = [1]
        self.assertEqual(c.result("reload"), {"changed": [], "unchanged": 0})

    def test_malformed_messages(self):
        self.ike.sock.send(b"short")
        self.ike.sock.send(b"\x00" * 64)
        send(self.ike.sock, "IPC_START")
        send(self.ike.sock, "IPC_REPLY", b"abc", ident=1)
        send(self.gw.channel, "IPC_PEER", b"\x01")
        send(self.gw.channel, "IPC_PEER", struct.pack("=I", 77), [0])
        send(self.gw.channel, "IPC_SOCKET", struct.pack("=IIII", 1, 0, 0, 0), [0])
        send(self.gw.channel, "IPC_STATS", b"", [0])
        send(self.gw.channel, "IPC_SECRET", b"", [0])
        self.assertTrue(self.client().result("show.sas"))

    def test_supervisor_is_gone(self):
        self.gw.channel.shutdown(socket.SHUT_RDWR)
        self.assertEqual(self.gw.wait(), 1)


class Events(Case):
    def told(self, n, **more):
        for i in range(n):
            self.ike.event(dict({"time": "2026-01-01T00:00:00.000Z", "kind": "child-rekeyed",
                                 "tunnel": "one-1", "text": str(i)}, **more))

    def kept(self):
        return self.client().result("events")["events"]

    def test_kept_and_stamped(self):
        self.told(1, process="supervisor")
        self.assertTrue(until(self.kept))
        self.assertEqual(self.kept(), [{
            "time": "2026-01-01T00:00:00.000Z", "kind": "child-rekeyed", "process": "ike",
            "tunnel": "one-1", "text": "0"}])
        self.supervisor.event({"kind": "process-started", "text": "ike"})
        self.assertTrue(until(lambda: len(self.kept()) == 2))
        self.assertRegex(self.kept()[1]["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_the_last_thousand(self):
        self.told(1500)
        self.assertTrue(until(lambda: self.kept()[-1:] and self.kept()[-1]["text"] == "1499"))
        texts = [e["text"] for e in self.kept()]
        self.assertEqual(texts, [str(i) for i in range(500, 1500)])

    def test_nonsense_is_dropped(self):
        for event in (b"", b"{", b"[]", b"\xff\xff", b'{"kind":3}', b'{"kind":"a","kind":"b"}',
                      b'{"kind":"a","text":"' + b"x" * 5000 + b'"}'):
            self.ike.event(event)
        self.told(1)
        self.assertTrue(until(self.kept))
        self.assertEqual(len(self.kept()), 1)

    def test_follow(self):
        self.told(2)
        self.assertTrue(until(lambda: len(self.kept()) == 2))
        c = self.client()
        self.assertEqual(len(c.result("events", follow=True)["events"]), 2)
        self.route.event({"kind": "switched", "connection": "one", "from": "one-1", "to": "one-2"})
        e = c.line()["event"]
        self.assertEqual((e["kind"], e["process"], e["to"]), ("switched", "route", "one-2"))
        # Requests go on between events.
        self.assertTrue(c.result("show.routes"))
        other = self.client()
        other.result("events", follow=False)
        self.told(1)
        self.assertEqual(c.line()["event"]["kind"], "child-rekeyed")
        self.assertTrue(other.quiet())

    def test_a_follower_may_close_its_sending_side(self):
        c = self.client()
        c.raw(b'{"id":1,"method":"events","params":{"follow":true}}\n')
        c.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(c.line()["id"], 1)
        self.told(1)
        self.assertEqual(c.line()["event"]["text"], "0")

    def test_a_slow_follower_is_told_and_dropped(self):
        slow, quick = self.client(), self.client()
        slow.result("events", follow=True)
        quick.result("events", follow=True)
        for i in range(3000):
            self.ike.event({"kind": "x", "text": "y" * 1000})
            self.assertEqual(quick.line()["event"]["kind"], "x")
        last, n = None, 0
        while True:
            line = slow.line()
            if line is None:
                break
            last, n = line, n + 1
        self.assertEqual(last["error"]["code"], "too-slow")
        self.assertLess(n, 3000)


class Start(unittest.TestCase):
    def test_nothing_was_handed_over(self):
        gw = Gateway.__new__(Gateway)
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as log:
            p = subprocess.Popen([harness()], pass_fds=(3,), stderr=log,
                                 preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
            theirs.close()
            gw.channel = channel
            channel.settimeout(60)
            send(channel, "IPC_START")
            self.assertIn(b"configuration", gw.expect("IPC_FATAL"))
            self.assertEqual(p.wait(timeout=60), 1)
        channel.close()


if __name__ == "__main__":
    main()
