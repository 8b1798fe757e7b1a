#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the control process shows, and what it has done by the others.

usage: test_control.py HARNESS [TEST...]
"""

import json
import os
import struct
import threading
import time

from control_case import Case, main
from gateway import CONFIG, memfd, Peer, process, Refused, send, until


class Shows(Case):
    def test_status(self):
        s = self.client().result("status")
        self.assertEqual(s["gateway"], "gw")
        self.assertEqual(s["state"], "ok")
        self.assertEqual((s["tunnels_up"], s["tunnels_configured"]), (3, 3))
        self.assertEqual(s["uptime_s"], 12.5)
        self.assertEqual([p["role"] for p in s["processes"]], ["supervisor", "ike"])
        self.assertEqual([(c["name"], c["state"], c["active_tunnel"]) for c in s["connections"]],
                         [("one", "up", "one-2"), ("two", "up", "two-1")])
        self.assertEqual(s["connections"][0]["routes"], ["10.2.0.0/24", "10.3.0.0/24"])
        self.assertEqual(s["routes"], {"prefixes": 3, "candidates": 5, "waiting": 2, "refused": 0})
        self.assertEqual(set(s["rates"]), {"in_bps", "out_bps", "in_pps", "out_pps"})

    def test_degraded(self):
        self.ike.answers["tunnels"][0]["up"] = False
        s = self.client().result("status")
        self.assertEqual((s["state"], s["tunnels_up"]), ("degraded", 2))
        self.assertEqual(s["connections"][0]["state"], "degraded")
        self.ike.answers["tunnels"] = []
        self.assertEqual(self.client().result("status")["connections"][0]["state"], "down")

    def test_degraded_by_a_process(self):
        self.supervisor.answers["processes"].append(process("twinbore-dp", "restarting"))
        s = self.client().result("status")
        self.assertEqual((s["state"], s["tunnels_up"]), ("degraded", 3))

    def test_connections(self):
        c = self.client().result("show.connections")["connections"]
        self.assertEqual(c[0], {"name": "one", "state": "up", "active_tunnel": "one-2",
                                "tunnels": ["one-1", "one-2"],
                                "routes": ["10.2.0.0/24", "10.3.0.0/24"]})

    def test_tunnels(self):
        t = self.client().result("show.tunnels")["tunnels"]
        self.assertEqual([x["name"] for x in t], ["one-1", "one-2", "two-1"])
        self.assertEqual(t[0], {
            "name": "one-1", "connection": "one", "index": 0, "up": True, "phase": "up",
            "reason": "", "since_s": 5.5, "active": False, "local": "192.0.2.1:500",
            "remote": "198.51.100.1:500", "interface": "in1", "natt": False,
            "inside_addresses": ["169.254.1.2/30", "fd00::2/126"], "mtu": 1438, "path_mtu": 0,
            "path_mtu_learnt": False, "draining": False, "replacing": None, "bfd_down": False,
            "bgp_up": True, "accepted": 5, "stale": 0, "refused": 1, "in_packets": 0,
            "in_bytes": 111, "out_packets": 112, "out_bytes": 0, "in_dropped": 0,
            "out_dropped": 0, "in_translated": 0, "out_translated": 0})
        self.assertTrue(t[1]["active"])
        self.assertFalse(t[1]["draining"])
        self.assertEqual((t[1]["in_bytes"], t[1]["out_dropped"]), (211, 9))

    def test_tunnel_that_ike_does_not_know(self):
        self.ike.answers["tunnels"] = []
        t = self.client().result("show.tunnels")["tunnels"]
        self.assertEqual([(x["up"], x["phase"]) for x in t], [(False, "down")] * 3)
        self.assertEqual(t[2]["remote"], None)

    def test_sas(self):
        s = self.client().result("show.sas")["sas"]
        self.assertNotIn("in_packets", s[0])
        self.assertEqual((s[1]["in_packets"], s[1]["out_seq"], s[1]["in_replayed"]), (55, 56, 2))
        self.assertEqual(s[2]["in_packets"], 0)  # a slot outside of the map

    def test_routes(self):
        self.assertEqual(self.client().result("show.routes"), self.route.answers["routes"])

    def test_routes_are_asked_for_by_pages(self):
        c = self.client()
        self.route.answers["routes"] = lambda ident, arg: {"routes": [], "next": json.loads(
            arg).get("cursor", 0) + 1}
        self.assertEqual(c.result("show.routes")["next"], 1)
        self.assertEqual(c.result("show.routes", table="blue", within="10.9.1.1/16", cursor=7,
                                  limit=20)["next"], 8)
        self.assertEqual([json.loads(arg) for _, arg in self.route.asked],
                         [{}, {"table": "blue", "within": "10.9.0.0/16", "cursor": 7, "limit": 20}])
        for params, message in (
                ({"table": "bleu"}, "no route table is named 'bleu'; the nearest is 'blue'"),
                ({"table": 1}, "'table' must be the name of a route table"),
                ({"within": "10.0.0.0"}, "'within' must be a prefix, such as 10.2.0.0/16"),
                ({"cursor": -1}, "'cursor' must be a number from 0 to 4294967294"),
                ({"limit": 1001}, "'limit' must be a number from 1 to 1000")):
            self.assertEqual(c.error("show.routes", **params),
                             {"code": "bad-params", "message": message})

    def test_how_a_route_was_chosen(self):
        c = self.client()
        self.assertEqual(c.result("explain.route", prefix="10.2.0.0/16"), {"tables": []})
        c.result("explain.route", address="2001:db8::1", table="main")
        self.assertEqual([json.loads(arg) for _, arg in self.route.asked],
                         [{"prefix": "10.2.0.0/16"}, {"address": "2001:db8::1", "table": "main"}])
        for params in ({}, {"prefix": "10.0.0.0/8", "address": "10.0.0.1"}, {"address": "x"},
                       {"prefix": "10.0.0.1"}, {"prefix": 5}):
            self.assertEqual(c.error("explain.route", **params)["code"], "bad-params", params)

    def test_what_if(self):
        c = self.client()
        self.assertEqual(c.result("what-if", tunnel="one-1"), self.route.answers["what_if"])
        self.assertEqual(self.route.asked, [("what_if", "one-1")])
        self.assertEqual(c.error("what-if", tunnel="one-3")["message"],
                         "no tunnel is named 'one-3'; the nearest is 'one-1'")

    def test_bgp_and_bfd(self):
        c = self.client()
        self.route.answers.update(bgp={"neighbors": []}, bfd={"sessions": [], "dropped": {}},
                                  bgp_received={"routes": [], "next": None},
                                  bgp_advertised={"routes": [], "next": 3})
        self.assertEqual(c.result("show.bgp"), {"neighbors": []})
        self.assertEqual(c.result("show.bfd"), {"sessions": [], "dropped": {}})
        self.assertEqual(self.route.asked, [("bgp", ""), ("bfd", "")])
        for method in "show.bgp", "show.bgp.received", "show.bgp.advertised":
            self.assertEqual(c.error(method, tunnel="one-1"), {
                "code": "failed", "message": "tunnel 'one-1' has no BGP neighbor: its "
                "configuration says nothing of 'bgp'"})
            self.assertEqual(c.error(method, tunnel="one-5")["code"], "no-such-tunnel")
        self.assertEqual(c.error("show.bgp.received")["code"], "bad-params")
        bgp = CONFIG.replace("interface: in1,", "interface: in1, bgp: {remote_as: 65001},")
        bgp = bgp.replace("[10.1.0.0/24]", "[0.0.0.0/0]", 1)
        bgp = bgp.replace("[10.2.0.0/24, 10.3.0.0/24]", "[0.0.0.0/0]")
        self.gw.configure(bgp.replace("gateway: {", "bgp: {local_as: 65000}\ngateway: {"), 2)
        self.gw.expect("IPC_RELOADED")
        self.assertEqual(c.result("show.bgp", tunnel="one-1"), {"neighbors": []})
        self.assertEqual(c.result("show.bgp.advertised", tunnel="one-1", cursor=2, limit=9)["next"],
                         3)
        self.assertEqual(c.result("show.bgp.received", tunnel="one-1", within="10.0.0.0/8"),
                         {"routes": [], "next": None})
        self.assertEqual(self.route.asked[2], ("bgp", "one-1"))
        self.assertEqual([json.loads(arg) for _, arg in self.route.asked[3:]], [
            {"tunnel": "one-1", "cursor": 2, "limit": 9},
            {"tunnel": "one-1", "within": "10.0.0.0/8"}])

    def test_ports(self):
        r = self.client().result("show.ports")
        self.assertEqual(r["aead_backend"], "ipsec-mb")
        self.assertEqual(r["suites"], [{"suite": "aes-256-gcm-16", "backend": "ipsec-mb"}])
        wan = r["ports"][0]
        self.assertEqual((wan["name"], wan["mac"], wan["link_up"], wan["speed_mbps"]),
                         ("wan", "02:00:00:00:00:fe", True, 10000))
        self.assertEqual(wan["offloads"], [{"name": "rss", "state": "on"}])
        self.assertEqual(wan["spi_rules"], 7)
        self.assertEqual(r["ports"][1]["name"], "\\xff" * 32)
        self.assertEqual(r["ports"][1]["speed_mbps"], 0)
        self.assertEqual([(w["index"], w["asleep"], w["cycles_per_packet"])
                          for w in r["workers"]], [(0, False, 400), (1, True, 0)])

    def test_counters(self):
        r = self.client().result("show.counters")
        self.assertEqual(r["ike"], {"rx-messages": 3})
        self.assertEqual(r["dataplane"], {"no-route": 321, "replayed": 7, "no-sa": 0})


class Commands(Case):
    def test_pass_to_ike(self):
        c = self.client()
        self.assertEqual(c.result("up", tunnel="one-1"), {})
        c.result("down", tunnel="one-2")
        c.result("rekey", tunnel="one-1")
        c.result("rekey", tunnel="one-1", what="child")
        c.result("rekey", tunnel="two-1", what="ike")
        c.result("redirect", tunnel="one-1", to="192.0.2.9")
        c.result("redirect", tunnel="one-1", to="2001:DB8::0")
        c.result("redirect", tunnel="one-1", to="off")
        self.assertEqual(self.ike.asked, [("up", "one-1"), ("down", "one-2"), ("rekey", "one-1"),
                                          ("rekey", "one-1"), ("rekey", "ike:two-1"),
                                          ("redirect", "one-1 192.0.2.9"),
                                          ("redirect", "one-1 2001:db8::"),
                                          ("redirect", "one-1 off")])

    def test_unknown_tunnel(self):
        e = self.client().error("up", tunnel="one1")
        self.assertEqual(e, {"code": "no-such-tunnel",
                             "message": "no tunnel is named 'one1'; the nearest is 'one-1'"})
        e = self.client().error("rekey", tunnel="ike:one-1")  # not to be smuggled in
        self.assertEqual(e["code"], "no-such-tunnel")
        self.assertEqual(self.ike.asked, [])

    def test_bad_parameters(self):
        c = self.client()
        for params in {}, {"tunnel": 3}, {"tunnel": ""}, {"tunnel": None}:
            self.assertEqual(c.error("up", **params)["code"], "bad-params")
        self.assertEqual(c.error("rekey", tunnel="one-1", what="all")["code"], "bad-params")
        self.assertEqual(c.error("rekey", tunnel="one-1", what=1)["code"], "bad-params")
        for to in None, 1, "", "gw.example.net", "192.0.2.9 ", "OFF":
            self.assertEqual(c.error("redirect", tunnel="one-1", to=to)["code"], "bad-params")
        self.assertEqual(c.error("redirect", tunnel="one1", to="off")["code"], "no-such-tunnel")
        self.assertEqual(c.error("events", follow="yes")["code"], "bad-params")

    def test_refusal_is_told(self):
        self.ike.answers["up"] = Refused("failed", "there is no remote address")
        self.assertEqual(self.client().error("up", tunnel="one-1"),
                         {"code": "failed", "message": "there is no remote address"})
        self.ike.answers["up"] = Refused("parse", "a code that is not its to give")
        self.assertEqual(self.client().error("up", tunnel="one-1")["code"], "failed")

    def test_reload(self):
        self.assertEqual(self.client().result("reload"), {"changed": ["one-1"], "unchanged": 2})
        text = "\n".join("line %d: wrong" % i + "x" * 200 for i in range(20))
        self.supervisor.answers["reload"] = Refused("failed", text)
        self.assertEqual(self.client().error("reload"), {"code": "failed", "message": text})

    def test_new_configuration(self):
        self.gw.configure(CONFIG.replace("two-1", "new-1"), 2)
        self.assertEqual(self.gw.expect("IPC_RELOADED"), b"")
        t = self.client().result("show.tunnels")["tunnels"]
        self.assertEqual([x["name"] for x in t], ["one-1", "one-2", "new-1"])
        self.gw.configure("version: nonsense", 3)
        self.assertNotEqual(self.gw.expect("IPC_RELOADED"), b"")
        self.assertEqual(len(self.client().result("show.tunnels")["tunnels"]), 3)


class Drains(Case):
    """A replacement: drain, silence, down, up, undrain; each of its steps can fail."""

    def setUp(self):
        super().setUp()
        self.up = True

        def down(ident, arg):
            self.up = False
            return {}

        def up(ident, arg):
            self.up = True
            return {}

        def explain(ident, arg):
            return [{"name": arg, "up": self.up}]
        self.ike.answers.update(down=down, up=up, explain=explain)

    def follow(self):
        c = self.client()
        c.result("events", follow=True)
        return c

    def event(self, c):
        e = c.line()["event"]
        self.assertEqual((e["process"], e["tunnel"]), ("control", "one-1"))
        return e["kind"], e["text"]

    def said(self, peer):
        return [op for op, _ in peer.asked if op not in ("explain", "route_state", "tunnels")]

    def test_drain_and_undrain(self):
        c = self.client()
        self.assertEqual(c.result("tunnel.drain", tunnel="one-1"), {"moved": 3, "stays": 0})
        self.assertEqual(c.result("tunnel.undrain", tunnel="one-1"), {})
        self.assertEqual(self.route.asked, [("drain", "one-1"), ("undrain", "one-1")])
        self.assertTrue(until(lambda: len(self.supervisor.asked) == 2))
        self.assertEqual(self.supervisor.asked, [("keep_drained", "one-1"), ("forget_drained", "one-1")])
        self.assertEqual(c.error("tunnel.drain", tunnel="one-9")["code"], "no-such-tunnel")

    def test_a_new_route_process_is_told(self):
        c = self.client()
        c.result("tunnel.drain", tunnel="one-1")
        c.result("tunnel.drain", tunnel="two-1")
        c.result("tunnel.undrain", tunnel="two-1")
        self.route.close()
        new = self.gw.attach(Peer("ROUTE"))
        self.assertTrue(until(lambda: new.asked))
        self.assertEqual(new.asked, [("drain", "one-1")])

    def test_a_new_control_process_is_told(self):
        """It keeps a tunnel drained that was so before, when it has replaced it."""
        self.gw.drained("one-1")
        c, events = self.client(), self.follow()
        c.result("tunnel.replace", tunnel="one-1")
        self.assertEqual(self.event(events)[0], "tunnel-drained")
        self.assertEqual(self.event(events),
                         ("tunnel-replaced", "it was set up anew, and stays drained"))
        self.assertEqual(self.said(self.route), ["drain"])
        c.result("tunnel.undrain", tunnel="one-1")
        self.assertTrue(until(lambda: self.supervisor.asked[-1:] == [("forget_drained", "one-1")]))

    def test_replace(self):
        c, events = self.client(), self.follow()
        begin = time.monotonic()
        self.assertEqual(c.result("tunnel.replace", tunnel="one-1"), {})
        self.assertEqual(self.event(events), ("tunnel-drained", "3 prefixes moved away"))
        self.assertEqual(c.result("show.tunnels")["tunnels"][0]["replacing"], "waiting")
        for method in "tunnel.replace", "tunnel.drain", "tunnel.undrain":
            self.assertEqual(c.error(method, tunnel="one-1")["code"], "failed")
        self.assertEqual(self.event(events), ("tunnel-replaced",
                                              "it was set up anew and takes its traffic again"))
        self.assertGreater(time.monotonic() - begin, 0.9)  # a moment of silence
        self.assertEqual(self.said(self.ike), ["down", "up"])
        self.assertTrue(until(lambda: self.said(self.route) == ["drain", "undrain"]))
        self.assertEqual(c.result("show.tunnels")["tunnels"][0]["replacing"], None)

    def test_what_was_drained_before_stays_so(self):
        c, events = self.client(), self.follow()
        c.result("tunnel.drain", tunnel="one-1")
        c.result("tunnel.replace", tunnel="one-1")
        self.event(events)
        self.assertEqual(self.event(events),
                         ("tunnel-replaced", "it was set up anew, and stays drained"))
        self.assertEqual(self.said(self.route), ["drain", "drain"])

    def test_nothing_else_could_carry_it(self):
        self.route.answers["drain"] = {"moved": 0, "stays": 2}
        c, events = self.client(), self.follow()
        c.result("tunnel.replace", tunnel="one-1")
        kind, text = self.event(events)
        self.assertEqual(kind, "tunnel-replace-failed")
        self.assertIn("nothing else could carry 2 prefixes", text)
        self.assertTrue(until(lambda: self.said(self.route) == ["drain", "undrain"]))
        self.assertEqual(self.said(self.ike), [])
        c.result("tunnel.replace", tunnel="one-1", force=True)
        self.assertEqual(self.event(events)[0], "tunnel-drained")
        self.assertTrue(until(lambda: self.said(self.ike) == ["down", "up"]))

    def test_the_peer_goes_on_sending(self):
        image = bytearray(self.gw.image())
        at = image.index(struct.pack("=QQQQ", 112, 0, 0, 111))  # the first tunnel: out_packets
        fd = memfd(image)
        send(self.gw.channel, "IPC_STATS", struct.pack("=Q", len(image)), [fd])
        self.client().result("show.tunnels")
        events, stop = self.follow(), threading.Event()

        def traffic():
            n = 112
            while not stop.wait(0.02):
                n += 10
                os.pwrite(fd, struct.pack("=Q", n), at)
        thread = threading.Thread(target=traffic)
        thread.start()
        try:
            self.client().result("tunnel.replace", tunnel="one-1", wait_s=1.5)
            self.assertEqual(self.event(events)[0], "tunnel-drained")
            kind, text = self.event(events)
            self.assertEqual(kind, "tunnel-replace-failed")
            self.assertIn("still sends", text)
            self.assertEqual(self.said(self.ike), [])
            self.client().result("tunnel.replace", tunnel="one-1", wait_s=0, force=True)
            self.assertEqual(self.event(events)[0], "tunnel-drained")
            self.assertTrue(until(lambda: self.said(self.ike) == ["down", "up"]))
        finally:
            stop.set()
            thread.join()
            os.close(fd)

    def test_the_route_process_is_away(self):
        events = self.follow()
        self.route.close()
        self.client().result("tunnel.replace", tunnel="one-1")
        kind, text = self.event(events)
        self.assertEqual((kind, "not running" in text or "restarted" in text),
                         ("tunnel-replace-failed", True), text)
        for params in ({"force": 1}, {"wait_s": -1}, {"wait_s": "x"}):
            self.assertEqual(self.client().error("tunnel.replace", tunnel="one-1", **params)["code"],
                             "bad-params")


class Counters(Case):
    stats = False

    def test_none_yet(self):
        c = self.client()
        self.assertEqual(c.error("show.ports")["code"], "unavailable")
        self.assertEqual(c.result("show.counters")["dataplane"], {})
        self.assertEqual(c.result("show.tunnels")["tunnels"][0]["mtu"], 0)
        self.gw.stats(self.gw.image())
        self.assertTrue(until(lambda: "result" in c.call("show.ports")))

    def test_a_hostile_map(self):
        """Whatever stands in the header, nothing outside of the map is read."""
        good = self.gw.image()
        names = ["magic", "version", "n_workers", "n_ports", "n_reasons", "max_sas", "max_tunnels"]
        end = len(good) - 16 * 128 - 8 * 128  # where the two arrays begin
        offsets = [i for i in range(0, end, 8)
                   if struct.unpack_from("=Q", good, i)[0] in (end, end + 16 * 128)]
        self.assertEqual(len(offsets), 2)
        changes = [(i * 4, "=I", v) for i, _ in enumerate(names) for v in (0xffffffff, 0x7fffffff)]
        changes += [(at, "=Q", v) for at in offsets
                    for v in (2**64 - 1, 2**64 - 8, len(good) + 8, len(good) - 8, 3, 2**63)]
        c = self.client()
        for at, form, value in changes:
            image = bytearray(good)
            struct.pack_into(form, image, at, value)
            self.gw.stats(bytes(image))
            for method in "show.ports", "show.counters", "show.sas", "show.tunnels", "status":
                answer = c.call(method)
                if method == "show.ports":
                    self.assertEqual(answer["error"]["code"], "unavailable", (at, value))
                else:
                    self.assertIn("result", answer)
        self.gw.stats(good)
        self.assertTrue(until(lambda: "result" in c.call("show.ports")))

    def test_sizes_that_are_not_so(self):
        good = self.gw.image()
        c = self.client()
        for size in 0, 8, len(good) - 1, len(good) + 4096, 2**63:
            self.gw.stats(good, size)
            self.assertEqual(c.error("show.ports")["code"], "unavailable")


if __name__ == "__main__":
    main()
