# SPDX-License-Identifier: Apache-2.0
"""bgp_openbgpd: OpenBGPD as a peer of bgp.py."""

import json
from pathlib import Path

from lab import until

from bgp_peer import COMMUNITY, LARGE, MED, THEIRS, V4, V4_PLAIN, V6, Peer, Route, given, more


class Openbgpd(Peer):
    NAME = "openbgpd"
    NEEDS = ("bgpctl",)
    # Without, it sends the beginning of a refresh and never its end.
    REFRESH_WANTS_RESTART = True
    # To anybody, BIRD too: "route refresh: AID IPv4 unicast not negotiated", where it was.
    ANSWERS_REFRESH = False
    SECOND_PATH = MD5_ON_LISTENER = TTL_ON_LISTENER = False
    CAN = frozenset("refresh enhanced helper md5 gtsm limit internal roles add-path text".split())

    def start(self):
        s = self.spec
        lines = [f"AS {s.their_as}", f"router-id {THEIRS[4]}", "fib-update no", f"listen on {s.theirs}",
                 f'socket "{self.dir}/ctl"', "log updates",
                 f"network {V4} set {{ metric {MED} community {COMMUNITY} large-community {LARGE} }}"]
        lines += [f"network {p}" for p in [V4_PLAIN, V6] + more(s.many)]
        lines += [f"neighbor {s.ours} {{", f"  remote-as {s.our_as}", '  descr "us"', f"  local-address {s.theirs}",
                  "  holdtime 30", "  announce refresh yes", "  announce enhanced refresh yes",
                  "  announce restart yes"]
        lines += [f"  announce IPv{f} unicast" for f in s.families]
        lines += [f"  announce IPv{f} none" for f in "46" if f not in s.families]
        lines += given((s.opener == "ours", "  passive"),
                       (s.password, f'  tcp md5sig password "{s.password}"'),
                       (s.ttl_security, "  ttl-security yes"),
                       (s.role, f"  announce policy {s.role.replace('rs-server', 'rs')}{' enforce' if s.role_strict else ''}"),
                       (s.add_path, "  announce add-path send all"),
                       (s.max_prefixes, f"  max-prefix {s.max_prefixes}"))
        lines += ["}", "allow from any", "allow to any"]
        lines += given(("6" in s.families and s.transport == 4, f"match to any inet6 set nexthop {THEIRS[6]}"))
        config = self.write("bgpd.conf", "\n".join(lines) + "\n")
        Path("/run/openbgpd").mkdir(exist_ok=True)  # its chroot
        self.process = self.spawn(["/usr/sbin/bgpd", "-d", "-v", "-f", config], "openbgpd")
        until("OpenBGPD's socket", (self.dir / "ctl").exists)

    def ask(self, *words, check=True):
        return self.run("bgpctl", "-s", str(self.dir / "ctl"), *words, check=check)

    def show(self, *words):
        text = self.ask("-j", "show", *words, check=False)
        try:
            return json.loads(text)
        except ValueError:
            return {}

    def up(self):
        return any(n.get("state") == "Established" for n in self.show("neighbor", self.spec.ours).get("neighbors", []))

    def route(self, prefix):
        for r in self.show("rib", "in", "neighbor", self.spec.ours, "detail").get("rib", []):
            if r["prefix"] != prefix:
                continue
            out = Route(path=r.get("aspath", ""), next_hop=r.get("exit_nexthop", ""), med=r.get("metric"),
                        local_pref=r.get("localpref"), stale=bool(r.get("stale")))
            out.communities = frozenset(r.get("communities", []))
            out.large = frozenset(r.get("large_communities", []))
            return out
        return None

    def refresh(self):
        self.ask("neighbor", self.spec.ours, "refresh")

    def shutdown(self, text):
        self.ask("neighbor", self.spec.ours, "down", text)

    def enable(self):
        self.ask("neighbor", self.spec.ours, "up")

    def nudge(self):
        self.ask("neighbor", self.spec.ours, "clear")

    def saw(self):
        return self.ask("show", "neighbor", self.spec.ours) + self.process.text
