# SPDX-License-Identifier: Apache-2.0
"""bgp_gobgp: GoBGP as a peer of bgp.py."""

import json

from lab import until

from bgp_peer import COMMUNITY, LARGE, MED, RESTART, THEIRS, V4, V4_PLAIN, V6, Peer, Route, given, more


class Gobgp(Peer):
    NAME = "gobgp"
    NEEDS = ("gobgpd", "gobgp")
    ASKS_REFRESH = False  # it keeps what it has heard
    CAN = frozenset("both refresh helper restart md5 gtsm limit internal add-path next-hop-6 text".split())

    def start(self):
        s = self.spec
        lines = ["[global.config]", f"  as = {s.their_as}", f'  router-id = "{THEIRS[4]}"',
                 f'  local-address-list = ["{s.theirs}"]', "[[neighbors]]", "  [neighbors.config]",
                 f'    neighbor-address = "{s.ours}"', f"    peer-as = {s.our_as}",
                 *given((s.password, f'    auth-password = "{s.password}"')),
                 "  [neighbors.timers.config]", "    connect-retry = 1", "    hold-time = 30",
                 "    idle-hold-time-after-reset = 1",
                 "  [neighbors.transport.config]", f'    local-address = "{s.theirs}"',
                 *given((s.opener == "ours", "    passive-mode = true"))]
        if s.ttl_security:
            lines += ["  [neighbors.ttl-security.config]", "    enabled = true", "    ttl-min = 255"]
        if s.restart:
            lines += ["  [neighbors.graceful-restart.config]", "    enabled = true", f"    restart-time = {RESTART}",
                      "    deferral-time = 5"]
        for family in s.families:
            lines += ["  [[neighbors.afi-safis]]", "    [neighbors.afi-safis.config]",
                      f'      afi-safi-name = "ipv{family}-unicast"']
            if s.restart:
                lines += ["    [neighbors.afi-safis.mp-graceful-restart.config]", "      enabled = true"]
            if s.add_path:
                lines += ["    [neighbors.afi-safis.add-paths.config]", "      send-max = 8"]
            if s.max_prefixes:
                lines += ["    [neighbors.afi-safis.prefix-limit.config]", f"      max-prefixes = {s.max_prefixes}"]
        config = self.write("gobgpd.toml", "\n".join(lines) + "\n")
        argv = ["gobgpd", "-f", config, "-p", "--pprof-disable"]
        if s.restart and getattr(self, "again", False):
            argv.append("-r")
        self.again = True
        self.process = self.spawn(argv, "gobgpd")
        until("GoBGP's interface", lambda: self.ns.run(["gobgp", "global"], check=False).returncode == 0)
        hop = THEIRS[6] if s.next_hop_6 else THEIRS[4]
        self.ask("global", "rib", "add", V4, "nexthop", hop, "med", MED, "community", COMMUNITY,
                 "large-community", LARGE)
        for p in [V4_PLAIN] + more(s.many):
            self.ask("global", "rib", "add", p, "nexthop", hop)
        self.ask("global", "rib", "add", "-a", "ipv6", V6, "nexthop", THEIRS[6])
        if s.add_path:
            self.ask("global", "rib", "add", V4, "identifier", 2, "nexthop", hop, "aspath", 64999)

    def ask(self, *words):
        return self.run("gobgp", *words)

    def up(self):
        return "session_state\":6" in self.ask("neighbor", self.spec.ours, "-j").replace(" ", "")

    def route(self, prefix):
        family = "ipv6" if ":" in prefix else "ipv4"
        text = self.ns.run(["gobgp", "neighbor", self.spec.ours, "adj-in", "-a", family, "-j"], check=False).stdout
        try:
            found = json.loads(text).get(prefix)
        except (ValueError, AttributeError):
            return None
        if not found:
            return None
        r = Route(stale=bool(found[0].get("stale")))
        for a in found[0]["attrs"]:
            kind = a["type"]
            if kind == 2:
                r.path = " ".join(str(n) for seg in a["as_paths"] or [] for n in seg["asns"])
            elif kind in (3, 14):
                r.next_hop = a["nexthop"]
            elif kind == 4:
                r.med = a["metric"]
            elif kind == 5:
                r.local_pref = a["value"]
            elif kind == 8:
                r.communities = frozenset(f"{c >> 16}:{c & 0xffff}" for c in a["communities"])
            elif kind == 32:
                r.large = frozenset(f"{c['ASN']}:{c['LocalData1']}:{c['LocalData2']}" for c in a["value"])
        return r

    def refresh(self):
        self.ask("neighbor", self.spec.ours, "softresetin")

    def shutdown(self, text):
        self.ask("neighbor", self.spec.ours, "shutdown", "--reason", text)

    def enable(self):
        self.ask("neighbor", self.spec.ours, "enable")

    def saw(self):
        return self.process.text
