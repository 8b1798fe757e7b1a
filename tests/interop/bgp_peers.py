# SPDX-License-Identifier: Apache-2.0
"""bgp_peers: other implementations of BGP, each started with what a session is to be like, asked and
told in the same words."""

import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path

from lab import until

OURS, THEIRS = {4: "192.0.2.2", 6: "fd00::2"}, {4: "192.0.2.1", 6: "fd00::1"}
LINK = "up0"
# What every peer announces; the first with everything that is to be kept on the way.
V4, V4_PLAIN, V6 = "10.10.0.0/16", "10.11.0.0/16", "2001:db8:a::/48"
MED, COMMUNITY, LARGE = 77, "64500:10", "4200000001:1:2"
OUR_V4, OUR_V6 = "10.20.0.0/16", "2001:db8:b::/48"
RESTART = 40
ROLES = {"provider": 0, "rs-server": 1, "rs-client": 2, "customer": 3, "peer": 4}


@dataclasses.dataclass(frozen=True)
class Spec:
    """A session, as both sides are to have it."""
    transport: int = 4
    our_as: int = 4200000002
    their_as: int = 4200000001
    opener: str = "ours"        # who connects: ours, theirs, any
    families: str = "46"
    password: str = ""
    ttl_security: bool = False
    restart: bool = False
    bfd_ms: int = 0
    role: str = ""              # the peer's
    role_strict: bool = False
    add_path: bool = False
    max_prefixes: int = 0       # of ours that the peer takes
    next_hop_6: bool = False    # RFC 8950: IPv4 prefixes with an IPv6 next hop
    many: int = 0               # so many routes more

    @property
    def ours(self):
        return OURS[self.transport]

    @property
    def theirs(self):
        return THEIRS[self.transport]

    @property
    def internal(self):
        return self.our_as == self.their_as


@dataclasses.dataclass
class Route:
    """What a peer knows of a prefix of ours."""
    path: str = ""
    next_hop: str = ""
    med: int | None = None
    local_pref: int | None = None
    communities: frozenset = frozenset()
    large: frozenset = frozenset()
    stale: bool = False


def more(n):
    return [f"10.{64 + i // 256}.{i % 256}.0/24" for i in range(n)]


class Peer:
    NEEDS = ()
    CAN = frozenset()
    LONG_MESSAGES = False
    ASKS_REFRESH = ANSWERS_REFRESH = True
    REFRESH_WANTS_RESTART = False
    SECOND_PATH = MD5_ON_LISTENER = TTL_ON_LISTENER = TTL_DEMANDED = True
    SHUTDOWN_SEEN = "maintenance until six"
    LIMIT_SEEN = "(?i)max.*prefix|prefix.*(limit|max|reached)"

    def nudge(self):
        """It shall try to connect now, if it would wait for long."""


    def __init__(self, world, ns, spec):
        self.world, self.ns, self.spec = world, ns, spec
        self.dir = world.dir / f"peer{world.serial()}"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.processes = []
        self.start()

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def spawn(self, argv, name, **kw):
        p = self.world.spawn(argv, self.ns, name, **kw)
        self.processes.append(p)
        return p

    def crash(self):
        """As if the power went: no NOTIFICATION."""
        for p in self.processes:
            os.killpg(p.pid, signal.SIGKILL)  # with its children, before they can say good-bye
        for p in self.processes:
            p.wait()
        self.processes = []

    def end(self):
        for p in reversed(self.processes):
            p.stop()
        self.processes = []

    def run(self, *argv, check=True):
        return self.ns.run(argv, check=check).stdout

    def wait_up(self, timeout=30):
        until(f"{self.NAME}'s session", self.up, timeout)

    def wait_route(self, prefix, timeout=20):
        return until(f"{prefix} in {self.NAME}", lambda: self.route(prefix), timeout, 0.1)

    def wait_gone(self, prefix, timeout=20):
        until(f"{prefix} gone from {self.NAME}", lambda: not self.route(prefix), timeout, 0.1)


# ------------------------------------------------------------------------------------ BIRD


class Bird(Peer):
    NAME = "bird"
    NEEDS = ("bird", "birdc")
    CAN = frozenset("both refresh enhanced extended helper restart md5 gtsm limit internal roles add-path next-hop-6 text bfd".split())

    def start(self):
        s = self.spec
        options = [f"local {s.theirs} as {s.their_as};", f"neighbor {s.ours} as {s.our_as};", "hold time 30;",
                   "connect retry time 1; connect delay time 1; error wait time 1,2;", "enable extended messages on;"]
        if s.opener == "ours":
            options.append("passive on;")
        if s.password:
            options.append(f'password "{s.password}";')
        if s.ttl_security:
            options.append("ttl security on;")
        if s.restart:
            options.append(f"graceful restart on; graceful restart time {RESTART};")
        if s.bfd_ms:
            options.append("bfd on;")
        if s.role:
            options.append(f"local role {s.role.replace('-', '_')}; require roles {'on' if s.role_strict else 'off'};")
        channel = ["import all;", "export filter all_of_it;"]
        if s.add_path:
            channel.append("add paths tx;")
        if s.max_prefixes:
            channel.append(f"import limit {s.max_prefixes} action disable;")
        if s.internal:
            channel.append("next hop self;")
        four = channel + (["extended next hop on;"] if s.next_hop_6 else [])
        six = channel + ([f"next hop address {THEIRS[6]};"] if s.transport == 4 else [])
        channels = (f"ipv4 {{ {' '.join(four)} }}; " if "4" in s.families else "") + \
                   (f"ipv6 {{ {' '.join(six)} }};" if "6" in s.families else "")
        bfd = f"""protocol bfd {{ interface "{LINK}" {{ min rx interval {s.bfd_ms} ms; min tx interval {s.bfd_ms} ms;
            multiplier 3; }}; }}""" if s.bfd_ms else ""
        second = f"""protocol static second {{ ipv4 {{ preference 150; import filter {{ bgp_path.prepend(64999); accept; }}; }};
            route {V4} blackhole; }}""" if s.add_path else ""
        routes = "".join(f"route {p} blackhole;\n" for p in [V4, V4_PLAIN] + more(s.many))
        self.daemon(f"""
router id {THEIRS[4]};
log "{self.dir}/log" all;
{"graceful restart wait 5;" if s.restart else ""}
filter all_of_it {{
    if source = RTS_STATIC then {{
        if net = {V4} then {{
            bgp_med = {MED}; bgp_community.add(({COMMUNITY.replace(':', ',')}));
            bgp_large_community.add(({LARGE.replace(':', ',')}));
        }}
        accept;
    }}
    reject;
}}
protocol device {{ scan time 1; }}
protocol static s4 {{ ipv4; {routes} }}
protocol static s6 {{ ipv6; route {V6} blackhole; }}
{second}
{bfd}
protocol bgp peer {{ {' '.join(options)} {channels} }}
""")

    def daemon(self, text):
        self.socket = self.dir / "ctl"
        self.socket.unlink(missing_ok=True)
        argv = ["bird", "-f", "-c", self.write("bird.conf", text), "-s", self.socket]
        if getattr(self, "again", False):
            argv.append("-R")  # recovers from a restart
        self.again = True
        self.spawn(argv, "bird")
        until("BIRD's socket", self.socket.exists)

    def ask(self, *words):
        return self.run("birdc", "-s", str(self.socket), *words)

    def up(self):
        return "Established" in self.ask("show", "protocols", "peer")

    def route(self, prefix):
        table = "master6" if ":" in prefix else "master4"
        text = self.run("birdc", "-s", str(self.socket), "show", "route", "all", "protocol", "peer", "table", table, prefix,
                        check=False)
        if prefix not in text:
            return None

        def one(name):
            m = re.search(rf"BGP\.{name}: (.*)", text)
            return m[1].strip() if m else ""

        return Route(path=one("as_path"), next_hop=one("next_hop").split()[0] if one("next_hop") else "",
                     med=int(one("med")) if one("med") else None,
                     local_pref=int(one("local_pref")) if one("local_pref") else None,
                     communities=frozenset(f"{a}:{b}" for a, b in re.findall(r"\((\d+),(\d+)\)", one("community"))),
                     large=frozenset(":".join(x) for x in re.findall(r"\((\d+), (\d+), (\d+)\)", one("large_community"))),
                     stale="stale" in text.lower())

    def refresh(self):
        self.ask("reload", "in", "peer")

    def shutdown(self, text):
        self.ask("disable", "peer", f'"{text}"')

    def enable(self):
        self.ask("enable", "peer")

    def bfd_up(self):
        return re.search(rf"{self.spec.ours}\s+\S+\s+Up", self.ask("show", "bfd", "sessions"))

    def saw(self):
        """What it says of the last error, and its log."""
        return self.ask("show", "protocols", "all", "peer") + (self.dir / "log").read_text()


# ------------------------------------------------------------------------------------- FRR


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
                 "exit", "route-map second permit 10", " set as-path prepend 64999", "exit", f"router bgp {s.their_as}", f" bgp router-id {THEIRS[4]}", " no bgp ebgp-requires-policy",
                 " no bgp default ipv4-unicast", " no bgp network import-check", " no bgp suppress-duplicates"]
        if s.restart:
            lines += [" bgp graceful-restart", f" bgp graceful-restart restart-time {RESTART}",
                      " bgp graceful-restart preserve-fw-state", " bgp graceful-restart select-defer-time 5"]
        lines += [f"{n} remote-as {s.our_as}", f"{n} timers 10 30", f"{n} timers connect 1",
                  f"{n} advertisement-interval 0"]
        if s.opener == "ours":
            lines.append(f"{n} passive")
        if s.password:
            lines.append(f"{n} password {s.password}")
        if s.ttl_security:
            lines.append(f"{n} ttl-security hops 1")
        if s.bfd_ms:
            lines.append(f"{n} bfd 3 {s.bfd_ms} {s.bfd_ms}")
        if s.role:
            lines.append(f"{n} local-role {s.role}{' strict-mode' if s.role_strict else ''}")
        if s.next_hop_6:
            lines.append(f"{n} capability extended-nexthop")
        for family, prefixes in (("4", [V4, V4_PLAIN] + more(s.many)), ("6", [V6])):
            if family not in s.families:
                continue
            lines += [f" address-family ipv{family} unicast", f" {n} activate"]
            lines += [f"  network {p}{' route-map rich' if p == V4 else ''}" for p in prefixes]
            if s.max_prefixes:
                lines.append(f" {n} maximum-prefix {s.max_prefixes}")
            if s.add_path:
                lines.append(f" {n} addpath-tx-all-paths")
            if s.internal:
                lines.append(f" {n} next-hop-self")
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


# ----------------------------------------------------------------------------------- GoBGP


class Gobgp(Peer):
    NAME = "gobgp"
    NEEDS = ("gobgpd", "gobgp")
    ASKS_REFRESH = False  # it keeps what it has heard
    CAN = frozenset("both refresh helper restart md5 gtsm limit internal add-path next-hop-6 text".split())

    def start(self):
        s = self.spec
        lines = ["[global.config]", f"  as = {s.their_as}", f'  router-id = "{THEIRS[4]}"',
                 f'  local-address-list = ["{s.theirs}"]', "[[neighbors]]", "  [neighbors.config]",
                 f'    neighbor-address = "{s.ours}"', f"    peer-as = {s.our_as}"]
        if s.password:
            lines.append(f'    auth-password = "{s.password}"')
        lines += ["  [neighbors.timers.config]", "    connect-retry = 1", "    hold-time = 30", "    idle-hold-time-after-reset = 1",
                  "  [neighbors.transport.config]", f'    local-address = "{s.theirs}"']
        if s.opener == "ours":
            lines.append("    passive-mode = true")
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


# -------------------------------------------------------------------------------- OpenBGPD


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


# ---------------------------------------------------------------------------------- ExaBGP


class Exabgp(Peer):
    NAME = "exabgp"
    NEEDS = ("exabgp",)
    # An enhanced one ends in an exception of its own; what a NOTIFICATION holds it cannot decode.
    ANSWERS_REFRESH = TTL_ON_LISTENER = TTL_DEMANDED = False
    SHUTDOWN_SEEN = '"state": "down"'
    CAN = frozenset("both refresh enhanced extended helper restart md5 gtsm internal add-path next-hop-6".split())

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
                   f"peer-as {s.our_as};", "hold-time 30;", f"family {{ {families} }}"]
        capability = ["route-refresh enable;", f"graceful-restart {RESTART if s.restart else 'disable'};",
                      "extended-message enable;", "asn4 enable;"]
        if s.add_path:
            capability.append("add-path send;")
        if s.next_hop_6:
            capability.append("nexthop enable;")
            options.append("nexthop { ipv4 unicast ipv6; }")
        if s.opener == "ours":
            options.append("passive true;")
        if s.password:
            options.append(f'md5-password "{s.password}";')
        if s.ttl_security:
            options.append("outgoing-ttl 255; incoming-ttl 255;")
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


PEERS = {p.NAME: p for p in (Bird, Frr, Gobgp, Openbgpd, Exabgp)}
