# SPDX-License-Identifier: Apache-2.0
"""bgp_peer: another implementation of BGP, started with what a session is to be like, asked and told
in the same words as all others: bgp_bird.py and its like."""

import dataclasses
import os
import signal

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


def given(*lines):
    """Of lines of a configuration, each with what it depends on, those that are wanted."""
    return [line for wanted, line in lines if wanted]


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
