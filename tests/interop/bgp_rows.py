# SPDX-License-Identifier: Apache-2.0
"""bgp_rows: the scenes that a peer goes through with our speaker. A scene is one session's configuration and
what is seen of it, a row for each thing."""

import dataclasses
import re
import time

from lab import LabError, Namespace, link, until

from bgp_peer import COMMUNITY, LARGE, LINK, MED, OUR_V4, OUR_V6, OURS, THEIRS, V4, V4_PLAIN, V6, Spec
from bgp_speaker import Speaker
from plays import Stage

OUR_LINK = "up1"
OUR_COMMUNITY, OUR_LARGE, OUR_MED = "65001:7", "4200000002:3:4", 5
RICH = ("--community", OUR_COMMUNITY, "--large", OUR_LARGE, "--med", OUR_MED)


class Trial(Stage):
    """One peer and our speaker on a link of their own."""

    def __init__(self, world, kind):
        super().__init__(world)
        self.kind = kind
        self.peer = self.us = None
        self.theirs, self.ours = Namespace(world, "theirs"), Namespace(world, "ours")
        link(self.theirs, LINK, self.ours, OUR_LINK)
        self.theirs.address(LINK, f"{THEIRS[4]}/24", f"{THEIRS[6]}/64")
        self.ours.address(OUR_LINK, f"{OURS[4]}/24", f"{OURS[6]}/64")

    def lines(self):
        return self.us.lines if self.us else []

    def begin(self, spec, *options, up=True, **kw):
        """Both sides; who waits is started first. What ran before is ended."""
        if self.peer:
            self.peer.end()
            self.us.crash()
            self.peer = self.us = None
        self.spec = spec
        if spec.opener == "ours":
            self.peer = self.kind(self.world, self.theirs, spec)
        self.us = Speaker(self.world, self.ours, spec, *options, **kw)
        if spec.opener != "ours":
            self.peer = self.kind(self.world, self.theirs, spec)
        if up:
            self.wait_up()

    def wait_up(self, n=1):
        self.us.wait("up", n)
        self.peer.wait_up()

    def can(self, what):
        return what in self.kind.CAN


def same(what, shown, wanted):
    if shown != wanted:
        raise LabError(f"{what} is {shown!r} where it is to be {wanted!r}")


def session_has(t, *words):
    text = t.us.wait("session")
    for w in words:
        if not re.search(rf"\b{re.escape(w)}(\s|$)", text):
            raise LabError(f"the session lacks \"{w}\": {text}")


def never(what, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            raise LabError(what)
        time.sleep(0.1)


def nothing_refused(t):
    line = t.us.show()
    bad = [w for w in ("update-", "header", "open ", "next-hop", "unexpected") if w in line]
    if bad:
        raise LabError(f"faults of the peer's messages: {line}")


# ------------------------------------------------------------------------------------ scenes


def plain(t):
    with t.row("up, we connect", vital=True):
        t.begin(Spec(restart=t.kind.REFRESH_WANTS_RESTART), *RICH)
    with t.row("AS numbers beyond 65535 on both sides"):
        session_has(t, "as 4200000001", "as4")
        t.us.wait(f"announce {V4_PLAIN} as 4200000001 next-hop {THEIRS[4]}")
        same("the peer's view of our path", t.peer.wait_route(OUR_V4).path, "4200000002")
    with t.row("routes of both families over IPv4, both ways"):
        if t.can("both"):
            t.us.wait(f"announce {V6} as 4200000001 next-hop {THEIRS[6]}")
            session_has(t, "ipv4", "ipv6")
            nothing_refused(t)
        else:
            # OpenBGPD offers its loopback address; a next hop that is not on the link is no way.
            t.us.wait_any(f"next hop that is not on the tunnel's inside network: {V6}, next hop ::1")
            t.us.wait(f"withdraw {V6}")
        same("the IPv6 next hop", t.peer.wait_route(OUR_V6).next_hop, OURS[6])
        same("the IPv4 next hop", t.peer.wait_route(OUR_V4).next_hop, OURS[4])
    with t.row("communities, large communities and MED are kept"):
        line = t.us.wait(f"announce {V4} ")
        for wanted in (f" med {MED}", f" community {COMMUNITY}", f" large {LARGE}"):
            if wanted not in line:
                raise LabError(f"{line}: not{wanted}")
        r = t.peer.wait_route(OUR_V4)
        same("what the peer has of ours", (r.med, r.communities, r.large), (OUR_MED, {OUR_COMMUNITY}, {OUR_LARGE}))
    with t.row("a route later, one taken back"):
        t.us.tell("advertise 10.21.0.0/16")
        t.peer.wait_route("10.21.0.0/16")
        t.us.tell("withdraw 10.21.0.0/16")
        t.peer.wait_gone("10.21.0.0/16")
    if t.kind.ANSWERS_REFRESH:
        with t.row("refresh, asked by us"):
            session_has(t, "refresh")
            n, purged = t.us.count(f"announce {V4} "), t.us.count("purge 0 stale")
            t.us.tell("refresh 4")
            t.us.wait(f"announce {V4} ", n + 1)
            if t.can("enhanced"):
                session_has(t, "enhanced-refresh")
                until("the end of the refresh", lambda: t.us.count("purge 0 stale: 0 gone") > purged)
    if t.kind.ASKS_REFRESH:
        with t.row("refresh, asked by the peer"):
            before = t.us.show()
            t.peer.refresh()
            until("the answer", lambda: refreshed(t, before))
            same("the route", t.peer.wait_route(OUR_V4).path, "4200000002")
    with t.row("our MED changed in a session"):
        t.us.tell("med 9")
        until("the new MED", lambda: t.peer.wait_route(OUR_V4).med == 9)
    with t.row("graceful shutdown: the community 65535:0"):
        t.us.tell("graceful-shutdown")
        until("the community", lambda: {OUR_COMMUNITY, "65535:0"} & known(t.peer.wait_route(OUR_V4).communities) ==
              {OUR_COMMUNITY, "65535:0"})
    ending(t)


def known(communities):
    """By number: some show the well-known ones by name."""
    names = {"graceful-shutdown": "65535:0", "gshut": "65535:0", "GRACEFUL_SHUTDOWN": "65535:0"}
    return {names.get(c, c) for c in communities}


def refreshed(t, before):
    def sent(line):
        return int(re.search(r"updates-out (\d+)", line)[1])

    return sent(t.us.show()) > sent(before)


def ending(t):
    with t.row("our shutdown, with a text"):
        t.us.tell("stop maintenance until six")
        until("the peer's word of it", lambda: re.search(t.kind.SHUTDOWN_SEEN, t.peer.saw()))
        t.peer.wait_gone(OUR_V4)
    with t.row("the peer's shutdown, with a text"):
        n = t.us.count("up")
        t.us.tell("start")
        t.wait_up(n + 1)
        t.peer.shutdown("back at seven")
        line = t.us.wait("event bgp-notification-received: cease: administrative shutdown (6/2)")
        if t.can("text") and "back at seven" not in line:
            raise LabError(line)
        t.us.wait("event bgp-down: peer sent cease: administrative shutdown")
        t.us.wait("purge 0: 2 gone")


def accepted(t):
    # OpenBGPD names its loopback as the next hop of the family that the session does not run over.
    with t.row("up over IPv6, they connect", vital=True):
        t.begin(Spec(opener="theirs", transport=6), *RICH)
    with t.row("routes of both families over IPv6, both ways"):
        t.us.wait(f"announce {V6} as 4200000001 next-hop {THEIRS[6]}")
        if t.can("both"):
            t.us.wait(f"announce {V4} as 4200000001 next-hop {THEIRS[4]}")
        same("the IPv6 next hop", t.peer.wait_route(OUR_V6).next_hop, OURS[6])
        same("the IPv4 next hop", t.peer.wait_route(OUR_V4).next_hop, OURS[4])
    with t.row("the peer is reset by us and returns"):
        n = t.us.count("up")
        t.us.tell("reset")
        t.us.wait("event bgp-down: reset by the operator")
        t.peer.nudge()
        t.wait_up(n + 1)
        t.peer.wait_route(OUR_V6)


def both_open(t):
    with t.row("up, both connect", vital=True):
        t.begin(Spec(opener="any"))
        t.us.wait(f"announce {V4} ")
        t.peer.wait_route(OUR_V4)


def next_hop_6(t):
    with t.row("IPv4 prefixes with IPv6 next hops, both ways"):
        t.begin(Spec(transport=6, next_hop_6=True), *RICH)
        t.us.wait(f"announce {V4} as 4200000001 next-hop {THEIRS[6]}")
        t.us.wait(f"announce {V6} as 4200000001 next-hop {THEIRS[6]}")
        nothing_refused(t)
        same("our next hop", t.peer.wait_route(OUR_V4).next_hop, OURS[6])


def md5(t):
    if not t.kind.MD5_ON_LISTENER:
        # OpenBGPD asks the digest of connections that it opens itself.
        with t.row("TCP-MD5: they connect, with a wrong password"):
            t.begin(Spec(password="planted-secret", opener="theirs"), "--password", "another", up=False)
            never("the session is up", lambda: t.us.count("up"), 3)
        with t.row("TCP-MD5: they connect, with the right one"):
            t.begin(t.spec)
            t.peer.wait_route(OUR_V6 if t.spec.transport == 6 else OUR_V4)
        return
    with t.row("TCP-MD5: a wrong password gives no session"):
        t.begin(Spec(password="planted-secret"), "--password", "another", up=False)
        never("the session is up", lambda: t.us.count("up"), 3)
    with t.row("TCP-MD5: none gives no session"):
        t.us.crash()
        t.us = Speaker(t.world, t.ours, dataclasses.replace(t.spec, password=""))
        never("the session is up", lambda: t.us.count("up"), 3)
    with t.row("TCP-MD5: the right one does, we connect"):
        t.us.crash()
        t.us = Speaker(t.world, t.ours, t.spec)
        t.wait_up()
        t.us.wait(f"announce {V4} ")
        t.peer.wait_route(OUR_V4)
    with t.row("TCP-MD5: likewise, they connect"):
        t.begin(dataclasses.replace(t.spec, opener="theirs"))
        t.peer.wait_route(OUR_V4)


def farther(ns):
    """What `ns` sends of BGP looks as if a router had passed it on."""
    ns.nft("""table ip far {
        chain out {
            type filter hook output priority -150;
            tcp sport 179 ip ttl set 254
            tcp dport 179 ip ttl set 254
        }
    }
    """)


def gtsm(t):
    spec = Spec(ttl_security=True, opener="ours" if t.kind.TTL_ON_LISTENER else "theirs")
    with t.row("TTL security: up", vital=True):
        t.begin(spec)
        t.us.wait(f"announce {V4} ")
        t.peer.wait_route(OUR_V4)
    tries = [("us", t.theirs, spec)]
    if t.kind.TTL_DEMANDED:
        # What they accept is bare until they have seen who it is: so they connect.
        tries.append(("the peer", t.ours, Spec(ttl_security=True, opener="theirs")))
    for who, ns, spec in tries:
        with t.row(f"TTL security: what comes from farther away is dropped by {who}"):
            farther(ns)
            t.begin(spec, up=False)
            never("the session is up", lambda: t.us.count("up"), 3)
            ns.nft("delete table ip far")
            t.us.wait("up")


def restart(t):
    with t.row("graceful restart: agreed on", vital=True):
        t.begin(Spec(restart=True))
        session_has(t, "graceful-restart")
        t.us.wait(f"announce {V4} ")
        t.us.wait("end-of-rib 0")
        if t.can("both"):
            t.us.wait("end-of-rib 1")
        t.peer.wait_route(OUR_V4)
    if t.can("restart"):
        with t.row("graceful restart: the peer crashed, its routes stay"):
            purged = t.us.count("purge 0")
            t.peer.crash()
            t.us.wait("stale 0")
            t.us.wait("stale 1")
            t.us.wait("event bgp-down: connection closed")
            time.sleep(1)
            same("purges", t.us.count("purge 0"), purged)
        with t.row("graceful restart: and are refreshed when it is back"):
            n, ended = t.us.count(f"announce {V4} "), t.us.count("end-of-rib 0")
            t.peer.start()
            t.wait_up(2)
            t.us.wait(f"announce {V4} ", n + 1)
            t.us.wait("end-of-rib 0", ended + 1)
            same("what was purged", t.us.last("purge 0"), "purge 0 stale: 0 gone, 2 left")
    if not t.can("helper"):
        return
    with t.row("graceful restart: we crashed, our routes stay with the peer"):
        t.peer.wait_route(OUR_V4)
        t.us.crash()
        never("the peer has dropped our route", lambda: not t.peer.route(OUR_V4), 1.5)
        t.us.start("--restarted")
        t.us.wait("up")
        never("the peer has dropped our route", lambda: not t.peer.route(OUR_V4), 1.5)
        t.peer.wait_up()
        until("our route, no longer stale", lambda: not t.peer.wait_route(OUR_V4).stale)
    with t.row("graceful restart: a route that is not announced again goes"):
        t.us.crash()
        never("the peer has dropped our route", lambda: not t.peer.route(OUR_V4), 0.5)
        t.us.argv.remove(OUR_V4)
        t.us.start("--restarted")
        t.wait_up()
        t.peer.wait_gone(OUR_V4)
        t.peer.wait_route(OUR_V6)


def our_limit(t):
    with t.row("more prefixes than we take: Cease/1"):
        t.begin(Spec(many=20), "--max", 10, "--max-restart", 300, up=False)
        t.us.wait("event bgp-prefix-limit: more than 10 prefixes")
        t.us.wait("event bgp-notification-sent: cease: maximum number of prefixes reached (6/1)")
        t.us.wait("purge 0: ")
        until("the peer's word of it", lambda: re.search(t.kind.LIMIT_SEEN, t.peer.saw()))
        n = t.us.count("up")
        never("it is up again", lambda: t.us.count("up") > n, 2)


def their_limit(t):
    with t.row("more prefixes than the peer takes: we say so"):
        t.begin(Spec(max_prefixes=5), up=False)
        t.us.wait("up")
        t.us.tell("many 20")
        t.us.wait("event bgp-notification-received: cease: maximum number of prefixes reached (6/1)")
        t.us.wait("event bgp-down: peer sent cease: maximum number of prefixes reached")


def internal(t):
    with t.row("iBGP: LOCAL_PREF, MED and an empty path, both ways"):
        t.begin(Spec(our_as=4200000001), *RICH, "--local-pref", 250)
        line = t.us.wait(f"announce {V4} ")
        if not re.match(rf"announce {V4} as  ?next-hop {THEIRS[4]} med {MED} local-pref 100", line):
            raise LabError(line)
        r = t.peer.wait_route(OUR_V4)
        same("ours", (r.path, r.med, r.local_pref, r.next_hop), ("", OUR_MED, 250, OURS[4]))
        nothing_refused(t)


def roles(t):
    with t.row("roles: provider and customer, the attribute is set"):
        t.begin(Spec(role="provider"))
        line = t.us.wait(f"announce {V4} ")
        if " otc 4200000001" not in line:
            raise LabError(line)
    with t.row("roles: a mismatch is refused"):
        t.us.crash()
        t.us = Speaker(t.world, t.ours, t.spec, "--role", 0)
        t.us.wait_any("role mismatch (2/11)")
        never("the session is up", lambda: t.us.count("up"), 1)
    with t.row("roles: strict, and we have none"):
        t.begin(Spec(role="customer", role_strict=True), "--role", 255, up=False)
        t.us.wait_any("role mismatch (2/11)")
    with t.row("roles: strict on our side, and the peer has none"):
        t.begin(Spec(), "--role", 3, "--role-strict", up=False)
        t.us.wait("event bgp-notification-sent: OPEN message error: role mismatch (2/11)")


def add_path(t):
    with t.row("several paths of a prefix are received"):
        t.begin(Spec(add_path=True), up=False)
        t.us.wait("up")
        session_has(t, "add-path-ipv4")
        t.us.wait_any("path-id")
        if not t.kind.SECOND_PATH:
            return
        until("two paths", lambda: len({re.search(r"path-id (\d+)", x)[1] for x in t.us.all(f"announce {V4} ")
                                        if "path-id" in x}) >= 2)
        until("of different length", lambda: any("4200000001 64999 next-hop" in x for x in t.us.all(f"announce {V4} ")))


def extended(t):
    with t.row("messages beyond 4096 bytes, both ways") as say:
        t.begin(Spec(many=2500), "--quiet")
        session_has(t, "extended")
        until("all of theirs", lambda: int(re.search(r"received (\d+)", t.us.show())[1]) >= 2502)
        longest = int(re.search(r"longest (\d+)", t.us.show())[1])
        say(f"theirs up to {longest} bytes")
        if t.kind.LONG_MESSAGES and longest <= 4096:
            raise LabError(f"the peer's messages are at most of {longest} bytes")
        t.us.tell("many 2500")
        for p in ("10.128.0.0/24", "10.130.0.0/24", "10.137.195.0/24"):
            t.peer.wait_route(p)
        same("faults", "unexpected" in t.us.show(), False)


def bfd(t):
    with t.row("BFD is up beside BGP", vital=True):
        t.begin(Spec(bfd_ms=300))
        t.us.wait("bfd Up")
        t.us.wait(f"announce {V4} ")
        t.peer.wait_route(OUR_V4)
        until("the peer's BFD", t.peer.bfd_up)
    with t.row("BFD: a path cut silently ends both sides' sessions") as say:
        n, begun = t.us.count("bfd Down"), time.monotonic()
        t.ours.nft("table inet cut { chain in { type filter hook input priority 0; drop; }; "
                   "chain out { type filter hook output priority 0; drop; }; }")
        t.us.wait("bfd Down", n + 1, 5)
        say(f"{(time.monotonic() - begun) * 1000:.0f} ms to our BFD down, with the time of nft")
        t.us.wait("event bgp-down: BFD is down")
        until("the peer's end of the session", lambda: not t.peer.up(), 5)
        say(f"{(time.monotonic() - begun) * 1000:.0f} ms until the peer shows it")
        t.us.wait("purge 0: ")
        t.ours.nft("delete table inet cut")
        t.wait_up(2)
    with t.row("BFD: the peer's end of a session is told by it"):
        until("BFD", lambda: t.us.last("bfd").startswith("bfd Up"))
        n, downs = t.us.count("up"), t.us.count("event bgp-down")
        t.peer.crash()
        t.us.wait("event bgp-down", downs + 1)
        t.peer.start()
        t.wait_up(n + 1)


# name: (function, what the peer must be able to do)
SCENES = {
    "plain": (plain, ""),
    "accepted": (accepted, ""),
    "both": (both_open, ""),
    "next-hop-6": (next_hop_6, "next-hop-6"),
    "md5": (md5, "md5"),
    "gtsm": (gtsm, "gtsm"),
    "restart": (restart, ""),
    "our-limit": (our_limit, ""),
    "their-limit": (their_limit, "limit"),
    "internal": (internal, "internal"),
    "roles": (roles, "roles"),
    "add-path": (add_path, "add-path"),
    "extended": (extended, "extended"),
    "bfd": (bfd, "bfd"),
}
