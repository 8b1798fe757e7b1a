# SPDX-License-Identifier: Apache-2.0
"""bgp_openbgpd: OpenBGPD as a peer of bgp.py."""

import json
from pathlib import Path

from lab import until

from bgp_peer import COMMUNITY, LARGE, MED, THEIRS, V4, V4_PLAIN, V6, Peer, Route, more


class Openbgpd(Peer):
    NAME = "openbgpd"
    NEEDS = ("bgpctl",)
    # Without, it sends the beginning of a refresh and never its end.
    REFRESH_WANTS_RESTART = True
    # To anybody, BIRD too: "route refresh: AID IPv4 unicast not negotiated", where it was.
    ANSWERS_REFRESH = False
    SECOND_PATH = False
    MD5_ON_LISTENER = TTL_ON_LISTENER = False
    SECOND_PATH = False
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
        if s.opener == "ours":
            lines.append("  passive")
        if s.password:
            lines.append(f'  tcp md5sig password "{s.password}"')
        if s.ttl_security:
            lines.append("  ttl-security yes")
        if s.role:
            lines.append(f"  announce policy {s.role.replace('rs-server', 'rs')}{' enforce' if s.role_strict else ''}")
        if s.add_path:
            lines.append("  announce add-path send all")
        if s.max_prefixes:
            lines.append(f"  max-prefix {s.max_prefixes}")
        lines += ["}", "allow from any", "allow to any"]
        if "6" in s.families and s.transport == 4:
            lines.append(f"match to any inet6 set nexthop {THEIRS[6]}")
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
