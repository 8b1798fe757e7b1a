# SPDX-License-Identifier: Apache-2.0
"""bgp_exabgp: ExaBGP as a peer of bgp.py."""

import json
import os

from bgp_peer import COMMUNITY, LARGE, MED, RESTART, THEIRS, V4, V4_PLAIN, V6, Peer, Route, given, more


class Exabgp(Peer):
    NAME = "exabgp"
    NEEDS = ("exabgp",)
    # An enhanced one ends in an exception of its own; what a NOTIFICATION holds it cannot decode.
    ANSWERS_REFRESH = TTL_ON_LISTENER = TTL_DEMANDED = False
    SHUTDOWN_SEEN = '"state": "down"'
    CAN = frozenset("both refresh enhanced extended restart md5 gtsm internal add-path next-hop-6".split())

    def start(self):
        s = self.spec
        self.heard, fifo = self.dir / "heard", self.dir / "commands"
        if not fifo.exists():
            os.mkfifo(fifo)
        self.heard.write_text("")
        # It reads what we tell it, and writes down what it hears, by a process of ours.
        pipe = self.write("pipe", f"#!/bin/sh\nexec 3<&0\ncat <&3 >>{self.heard} &\nexec cat <>{fifo}\n")
        pipe.chmod(0o755)
        families = " ".join(f"ipv{f} unicast;" for f in s.families)
        rich = f"med {MED} community [{COMMUNITY}] large-community [{LARGE}]"
        hop4 = THEIRS[6] if s.next_hop_6 else THEIRS[4]
        routes = [f"route {V4} next-hop {hop4} {rich} {'path-information 0.0.0.1' if s.add_path else ''};"]
        if s.add_path:
            routes.append(f"route {V4} next-hop {hop4} as-path [{s.their_as} 64999] path-information 0.0.0.2;")
        routes += [f"route {p} next-hop {hop4};" for p in [V4_PLAIN] + more(s.many)]
        routes.append(f"route {V6} next-hop {THEIRS[6]};")
        options = [f"router-id {THEIRS[4]};", f"local-address {s.theirs};", f"local-as {s.their_as};",
                   f"peer-as {s.our_as};", "hold-time 30;", f"family {{ {families} }}",
                   *given((s.next_hop_6, "nexthop { ipv4 unicast ipv6; }"),
                          (s.opener == "ours", "passive true;"),
                          (s.password, f'md5-password "{s.password}";'),
                          (s.ttl_security, "outgoing-ttl 255; incoming-ttl 255;"))]
        capability = ["route-refresh enable;", f"graceful-restart {RESTART if s.restart else 'disable'};",
                      "extended-message enable;", "asn4 enable;",
                      *given((s.add_path, "add-path send;"), (s.next_hop_6, "nexthop enable;"))]
        nl = "\n"
        config = self.write("exabgp.conf", f"""
process watch {{ run {pipe}; encoder json; }}
neighbor {s.ours} {{
    {nl.join(options)}
    capability {{ {' '.join(capability)} }}
    api {{ processes [ watch ]; neighbor-changes; receive {{ parsed; update; }} }}
    static {{ {nl.join(routes)} }}
}}
""")
        env = {"exabgp_daemon_user": "root", "exabgp_daemon_daemonize": "false", "exabgp_tcp_bind": s.theirs,
               "exabgp_tcp_port": "179", "exabgp_api_ack": "false", "exabgp_log_destination": "stdout",
               "exabgp_api_cli": "false", "exabgp_cache_attributes": "false"}
        self.process = self.spawn(["exabgp", config], "exabgp", env=env)
        self.commands = fifo

    def tell(self, line):
        with open(self.commands, "w", encoding="ascii") as f:
            f.write(line + "\n")

    def messages(self):
        for line in self.heard.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def up(self):
        state = [m["neighbor"]["state"] for m in self.messages() if m.get("type") == "state"]
        return bool(state) and state[-1] == "up"

    def route(self, prefix):
        found = None
        for m in self.messages():
            if m.get("type") == "state" and m["neighbor"]["state"] != "up":
                found = None
            update = m.get("neighbor", {}).get("message", {}).get("update", {}) if m.get("type") == "update" else {}
            a = update.get("attribute", {})
            for hops in update.get("announce", {}).values():
                for hop, prefixes in hops.items():
                    if any(x.get("nlri") == prefix for x in prefixes if isinstance(x, dict)):
                        found = Route(path=" ".join(str(n) for n in a.get("as-path", [])), next_hop=hop, med=a.get("med"),
                                      local_pref=a.get("local-preference"),
                                      communities=frozenset(":".join(map(str, c)) for c in a.get("community", [])),
                                      large=frozenset(":".join(map(str, c)) for c in a.get("large-community", [])))
            for prefixes in update.get("withdraw", {}).values():
                if any(x.get("nlri") == prefix for x in prefixes):
                    found = None
        return found

    def refresh(self):
        self.tell(f"neighbor {self.spec.ours} announce route-refresh ipv4 unicast")

    def shutdown(self, text):
        self.tell(f"neighbor {self.spec.ours} teardown 2")

    def enable(self):
        pass  # it tries again by itself

    def saw(self):
        return self.heard.read_text() + self.process.text
