# SPDX-License-Identifier: Apache-2.0
"""mobile: acts of the matrix that change the outer addresses of a tunnel under its SAs (MOBIKE, RFC 4555).

While something moves, the same SAs stay, with a gap that is bounded by how often the ends look for each other; in the
end both say where the other one is, and nothing is lost any more.
"""

import contextlib
import re

from lab import LabError, until

GAP_MS = 20000  # repetitions of both ends, on a machine that is busy
UPDATE, COOKIE2 = r"N\(UPD_SA_ADDR\)", r"N\(COOKIE2\)"


def host(endpoint):
    """The address of `192.0.2.1:500` and `[2001:db8::1]:500`."""
    return endpoint.rpartition(":")[0].strip("[]")


class Ends:
    """What both ends think of where they are."""

    def __init__(self, t):
        self.t = t

    def shown(self):
        ours = self.t.tb.tunnel(self.t.row.name)
        theirs = self.t.ss.sa(self.t.row.name)
        return (host(ours["local"]), host(ours["remote"])), (theirs["local-host"], theirs["remote-host"])

    def are(self, ours, theirs, in_udp=False):
        """The pair of addresses that we use, ours first, and strongSwan's, its own first; the children in UDP, native,
        or (None) either."""
        def agreed():
            child = next(c for c in self.t.ss.children(self.t.row.name) if c["state"] == "INSTALLED")
            mine, = (s for s in self.t.tb.sas(self.t.row.name, "child") if s["state"] != "lingering")
            forms = {child.get("encap") == "yes", mine["udp_encap"]}
            return self.shown() == (ours, theirs) and (in_udp is None or forms == {in_udp})

        try:
            until("both ends follow", agreed, 15)
        except LabError as e:
            raise LabError(f"{e}: we say {self.shown()[0]}, strongSwan {self.shown()[1]}, to be {ours} and {theirs}, "
                           f"{'in UDP' if in_udp else 'native'}") from None


@contextlib.contextmanager
def moving(t):
    """The SAs stay and traffic goes on; yields what strongSwan's log says meanwhile, as a function."""
    ids = [f("ike") for f in (lambda what: t.tb.ids(t.row.name, what), lambda what: t.ss.ids(what, t.row.name))]
    child = t.tb.ids(t.row.name)
    begin = t.ss.log.stat().st_size

    def said(pattern):
        with open(t.ss.log, errors="replace") as f:
            f.seek(begin)
            return len(re.findall(pattern, f.read()))

    with t.flow(interval_ms=5) as flow:
        yield said
    late = max(r.gap_ms for r in flow.report)
    lost = sum(r.lost for r in flow.report)
    t.say(f"gap {late:.0f} ms, {lost} lost")
    t.n_packets += sum(r.received for r in flow.report)
    assert [t.tb.ids(t.row.name, "ike"), t.ss.ids("ike", t.row.name), t.tb.ids(t.row.name)] == [*ids, child], "other SAs"
    assert late < GAP_MS, f"{late} ms without a packet"
    t.reach()
    with t.flow(interval_ms=5) as flow:
        until("packets flow in every direction", flow.flows)
        t.n_packets += flow.lossless()


def rehome(t, address):
    tunnel, = next(c for c in t.tb.config["connections"] if c["name"] == t.row.name)["tunnels"]
    tunnel["local_address"] = address
    t.tb.reload()


def we_move(t):
    """Our address changes, and back."""
    p = t.places
    for address in (p.our_other, p.our_local):
        with moving(t) as said:
            rehome(t, address)
            Ends(t).are((address, p.their_local), (p.their_local, address))
        if t.row.role == "initiator":
            assert said("parsed INFORMATIONAL request.*" + UPDATE) == 1


def we_move_behind_nat(t):
    """Our next address is behind a NAT, so that what was native ESP goes in UDP; and back."""
    p = t.places
    for address, seen, in_udp in ((p.our_nat, p.our_nat_public, True), (p.our_local, p.our_local, False)):
        with moving(t) as said:
            rehome(t, address)
            Ends(t).are((address, p.their_local), (p.their_local, seen), in_udp)
        assert said("parsed INFORMATIONAL request.*" + UPDATE) >= 1


def peer_moves(t):
    """The peer's address goes, and it takes another of its own, twice. If it began, it does so of itself, and we ask
    for a cookie at the new address before the tunnel's traffic goes there; if we did, it tells us, and we decide."""
    p = t.places
    length = 64 if ":" in p.their_local else 24
    at = p.their_local
    for _ in range(2):
        # What still comes to the address that is gone is dropped without a word.
        with moving(t) as said:
            t.ss.shell(f"ip route add blackhole {at}; ip addr del {at}/{length} dev eth0")

            def moved():
                (_, there), (here, _) = Ends(t).shown()
                return here if here == there != at else None

            now = until("both ends say that the peer moved", moved, 15)
            Ends(t).are((p.our_local, now), (now, p.our_local))
        if t.row.role == "responder":
            assert said("generating INFORMATIONAL request.*" + UPDATE) >= 1
            assert said("parsed INFORMATIONAL request.*" + COOKIE2) == said("generating INFORMATIONAL response.*" + COOKIE2) >= 1
        t.ss.shell(f"ip route del blackhole {at}; ip addr add {at}/{length} dev eth0 {'nodad' if length == 64 else ''}")
        at = now


def nat_appears(t):
    """A NAT that passes no native ESP comes between the ends, and goes. Our probes notice it, and we tell the peer."""
    p = t.places
    family = "ip6" if ":" in p.our_local else "ip"
    wan = t.ground.wan
    try:
        with moving(t):
            wan.nft(f"""table {family} between {{
                chain post {{ type nat hook postrouting priority 50; policy accept;
                    {family} saddr {p.our_local} {family} daddr {p.their_local} snat to {p.our_nat_public} random; }}
                chain no_esp {{ type filter hook forward priority 20; policy accept;
                    meta l4proto esp {family} saddr {p.our_local} {family} daddr {p.their_local} drop;
                    meta l4proto esp {family} saddr {p.their_local} {family} daddr {p.our_local} drop; }}
            }}\n""")
            forget(wan, p.their_local)
            Ends(t).are((p.our_local, p.their_local), (p.their_local, p.our_nat_public), True)
    finally:
        with moving(t):
            wan.nft(f"delete table {family} between\n")
            forget(wan, p.their_local)
            # Traffic that flows on needs no probe, so that UDP may stay until the next one.
            Ends(t).are((p.our_local, p.their_local), (p.their_local, p.our_local), None)


def nat_remaps(t):
    """The NAT before us gives another port."""
    with moving(t):
        theirs = t.ss.sa(t.row.name)
        forget(t.ground.wan, t.places.their_local)
        until("strongSwan sees us at another port",
              lambda: t.ss.sa(t.row.name)["remote-port"] != theirs["remote-port"], 15)


def forget(router, address):
    """The router's mappings of connections with an address are gone, whoever began them."""
    for end in ("-d", "-s"):
        router.run(["conntrack", "-D", end, address], check=False)


MOVES = {"we-move": we_move, "we-move-behind-nat": we_move_behind_nat, "peer-moves": peer_moves,
         "nat-appears": nat_appears, "nat-remaps": nat_remaps}
