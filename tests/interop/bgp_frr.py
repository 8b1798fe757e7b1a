# SPDX-License-Identifier: Apache-2.0
"""bgp_frr: FRR: zebra, bgpd, bfdd as a peer of bgp.py."""

import json
import shutil
from pathlib import Path

from lab import until

from bgp_peer import COMMUNITY, LARGE, LINK, MED, RESTART, THEIRS, V4, V4_PLAIN, V6, Peer, Route, given, more


class Frr(Peer):
    NAME = "frr"
    NEEDS = ("vtysh",)
    BIN = Path("/usr/lib/frr")
    # It answers a refresh after its End-of-RIB, which it sends only where graceful restart was agreed on.
    REFRESH_WANTS_RESTART = True
    CAN = frozenset("both refresh enhanced extended helper restart md5 gtsm limit internal roles add-path next-hop-6 text bfd".split())

    def bfd_config(self):
        s = self.spec
        return ["bfd", f" peer {s.ours} interface {LINK}", "  detect-multiplier 3", f"  receive-interval {s.bfd_ms}",
                f"  transmit-interval {s.bfd_ms}", " exit", "exit"]

    def config(self):
        s = self.spec
        n = f" neighbor {s.ours}"
        lines = ["route-map rich permit 10", f" set metric {MED}", f" set community {COMMUNITY}",
                 f" set large-community {LARGE}",
                 "exit", "route-map second permit 10", " set as-path prepend 64999", "exit", f"router bgp {s.their_as}",
                 f" bgp router-id {THEIRS[4]}", " no bgp ebgp-requires-policy",
                 " no bgp default ipv4-unicast", " no bgp network import-check", " no bgp suppress-duplicates"]
        if s.restart:
            lines += [" bgp graceful-restart", f" bgp graceful-restart restart-time {RESTART}",
                      " bgp graceful-restart preserve-fw-state", " bgp graceful-restart select-defer-time 5"]
        lines += [f"{n} remote-as {s.our_as}", f"{n} timers 10 30", f"{n} timers connect 1",
                  f"{n} advertisement-interval 0",
                  *given((s.opener == "ours", f"{n} passive"),
                         (s.password, f"{n} password {s.password}"),
                         (s.ttl_security, f"{n} ttl-security hops 1"),
                         (s.bfd_ms, f"{n} bfd 3 {s.bfd_ms} {s.bfd_ms}"),
                         (s.role, f"{n} local-role {s.role}{' strict-mode' if s.role_strict else ''}"),
                         (s.next_hop_6, f"{n} capability extended-nexthop"))]
        for family, prefixes in (("4", [V4, V4_PLAIN] + more(s.many)), ("6", [V6])):
            if family not in s.families:
                continue
            lines += [f" address-family ipv{family} unicast", f" {n} activate"]
            lines += [f"  network {p}{' route-map rich' if p == V4 else ''}" for p in prefixes]
            lines += given((s.max_prefixes, f" {n} maximum-prefix {s.max_prefixes}"),
                           (s.add_path, f" {n} addpath-tx-all-paths"),
                           (s.internal, f" {n} next-hop-self"))
            if s.add_path and family == "4":
                lines.append("  redistribute kernel route-map second")
                self.ns.ip(f"route replace blackhole {V4}")
            lines.append(" exit-address-family")
        lines.append("exit")
        return lines

    def start(self):
        bfd = {"bfdd": self.bfd_config()} if self.spec.bfd_ms else {}
        self.daemons({"zebra": [], **bfd, "bgpd": ["debug bgp neighbor-events"] + self.config()})

    def daemons(self, files):
        """Each with its configuration; they find each other by sockets in our folder."""
        shutil.chown(self.dir, "frr", "frr")
        for name, lines in files.items():
            config = self.write(f"{name}.conf", "\n".join([f"log file {self.dir}/log"] + lines) + "\n")
            shutil.chown(config, "frr", "frr")
            argv = [self.BIN / name, "-u", "frr", "-g", "frr", "-f", config, "-i", self.dir / f"{name}.pid",
                    "-z", self.dir / "zserv", "--vty_socket", self.dir, "-A", "127.0.0.1"]
            if name == "bfdd":
                argv += ["--bfdctl", self.dir / "bfdd.sock"]
            if name == "bgpd":
                argv += ["-l", self.spec.theirs]
            (self.dir / f"{name}.vty").unlink(missing_ok=True)
            self.spawn(argv, name)
            until(f"{name}'s socket", (self.dir / f"{name}.vty").exists)

    def ask(self, *commands):
        argv = ["vtysh", "--vty_socket", str(self.dir)]
        for c in commands:
            argv += ["-c", c]
        return self.run(*argv)

    def show(self, command):
        text = self.ask(command + " json")
        return json.loads(text) if text.strip() else {}

    def up(self):
        return self.show(f"show bgp neighbors {self.spec.ours}").get(self.spec.ours, {}).get("bgpState") == "Established"

    def route(self, prefix):
        family = "ipv6" if ":" in prefix else "ipv4"
        for p in self.show(f"show bgp {family} unicast {prefix}").get("paths", []):
            if p.get("peer", {}).get("peerId") != self.spec.ours:
                continue
            path = p["aspath"]["string"]
            return Route(path="" if path == "Local" else path, next_hop=p["nexthops"][0]["ip"], med=p.get("metric"),
                         local_pref=p.get("locPrf"),
                         communities=frozenset(p.get("community", {}).get("string", "").split()),
                         large=frozenset(p.get("largeCommunity", {}).get("string", "").split()),
                         stale=bool(p.get("stale")))
        return None

    def refresh(self):
        self.ask(f"clear bgp ipv4 unicast {self.spec.ours} soft in")

    def bfd_up(self):
        return self.show(f"show bfd peer {self.spec.ours}").get("status") == "up"

    def configure(self, *lines):
        self.ask("configure terminal", f"router bgp {self.spec.their_as}", *lines)

    def shutdown(self, text):
        self.configure(f"neighbor {self.spec.ours} shutdown message {text}")

    def enable(self):
        self.configure(f"no neighbor {self.spec.ours} shutdown")

    def saw(self):
        return self.ask(f"show bgp neighbors {self.spec.ours}") + (self.dir / "log").read_text()
