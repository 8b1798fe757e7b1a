# SPDX-License-Identifier: Apache-2.0
"""bgp_bird: BIRD 2 as a peer of bgp.py."""

import re

from lab import until

from bgp_peer import COMMUNITY, LARGE, LINK, MED, RESTART, THEIRS, V4, V4_PLAIN, V6, Peer, Route, given, more


class Bird(Peer):
    NAME = "bird"
    NEEDS = ("bird", "birdc")
    CAN = frozenset("both refresh enhanced extended helper restart md5 gtsm limit internal roles add-path next-hop-6 text bfd".split())

    def start(self):
        s = self.spec
        options = [f"local {s.theirs} as {s.their_as};", f"neighbor {s.ours} as {s.our_as};", "hold time 30;",
                   "connect retry time 1; connect delay time 1; error wait time 1,2;", "enable extended messages on;",
                   *given((s.opener == "ours", "passive on;"),
                          (s.password, f'password "{s.password}";'),
                          (s.ttl_security, "ttl security on;"),
                          (s.restart, f"graceful restart on; graceful restart time {RESTART};"),
                          (s.bfd_ms, "bfd on;"),
                          (s.role, f"local role {s.role.replace('-', '_')}; require roles {'on' if s.role_strict else 'off'};"))]
        channel = ["import all;", "export filter all_of_it;",
                   *given((s.add_path, "add paths tx;"),
                          (s.max_prefixes, f"import limit {s.max_prefixes} action disable;"),
                          (s.internal, "next hop self;"))]
        four = channel + given((s.next_hop_6, "extended next hop on;"))
        six = channel + given((s.transport == 4, f"next hop address {THEIRS[6]};"))
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
