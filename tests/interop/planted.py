#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The judges of the matrix: a row with a planted fault must fail, and say why."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import LabError, Tap, World, need, wire  # noqa: E402
from lab.strongswan import Charon  # noqa: E402
from lab.twinbore import Twinbore  # noqa: E402

import ground as grounds  # noqa: E402
import rows as tables  # noqa: E402
from keys import Keys  # noqa: E402
from matrix import Seen, Trial  # noqa: E402
from peers import same  # noqa: E402
from rows import Row  # noqa: E402


def fails(because, act):
    try:
        act()
    except LabError as e:
        assert because in str(e), f"not for '{because}' but: {e}"
        return
    raise LabError(f"a fault went unnoticed: {because}")


class Faulty(Trial):
    """A row in whose flow something is done."""

    fault = None

    def rekey(self, side, what):
        super().rekey(side, what)
        if self.fault:
            fault, self.fault = self.fault, None
            fault()


def lose_one(wan):
    """The router drops one packet of every 40 that carry ESP."""
    wan.nft("""table inet loss { chain forward { type filter hook forward priority 10; policy accept;
        udp length > 100 udp dport 4500 @th,64,32 != 0 numgen inc mod 40 0 drop; }; }\n""")


def main():
    need("ip", "nft", "ethtool", "tcpdump", "charon-systemd", "swanctl")
    with World("planted") as world:
        tap = Tap(world)
        rows = [Row("one"), Row("other")]
        for n, r in enumerate(rows):
            r.number = n
        ground = grounds.Ground(world, rows)
        tb, ss = Twinbore(ground.a), Charon(ground.b.gw, "b")
        keys = Keys(world, [])
        grounds.configure_ours(tb, ground, keys)
        grounds.configure_theirs(ss, ground, keys)
        # strongSwan takes no PFS group in the other row, though the table says that there is one.
        ss.connections["other"]["children"]["other"]["esp_proposals"] = "aes256gcm16"
        tb.config["connections"][1]["tunnels"][0]["esp"]["pfs"] = "none"
        guard = wire.Guard(ground.wires[1])
        guard.__enter__()
        with Seen(ground) as seen, ss, tb:
            def trial(n):
                return Faulty(ground, tb, ss, rows[n], print)

            with tap.case("without a fault the row is good"):
                t = trial(0)
                t.run()
                seen.judge(t.n_packets, ("esp-in-udp",))

            with tap.case("a packet in clear"):
                t = trial(0)
                t.fault = lambda: ground.b.gw.run([sys.executable, "-c",
                    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                    f"s.sendto(b'....TWINBORE-IN-CLEAR', ('{t.places.our_public}', 4500))"])
                t.run()
                fails("plaintext", lambda: seen.judge(t.n_packets, ("esp-in-udp",)))
                seen.judge(0, ("esp-in-udp",))

            with tap.case("inner addresses in clear"):
                t = trial(0)
                t.fault = lambda: ground.b.gw.run([sys.executable, "-c",
                    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                    f"s.sendto(b'....' + socket.inet_aton('{t.places.their_hosts[0]}') +"
                    f"socket.inet_aton('{t.places.our_hosts[0]}'), ('{t.places.our_public}', 4500))"])
                t.run()
                fails("inner addresses", lambda: seen.judge(t.n_packets, ("esp-in-udp",)))
                seen.judge(0, ("esp-in-udp",))

            with tap.case("a flow that is not on the wire"):
                t = trial(0)
                t.run()
                fails("all packets of the flow", lambda: seen.judge(t.n_packets + 1000, ("esp-in-udp",), patience=0.5))

            with tap.case("ESP in UDP where native ESP is to be"):
                t = trial(0)
                t.run()
                fails("all packets of the flow", lambda: seen.judge(t.n_packets, ("esp",), patience=0.5))
                t.run()
                fails("esp-in-udp where all is to be esp", lambda: seen.judge(0, ("esp",)))

            with tap.case("encryption where ESP is only to authenticate"):
                t = trial(0)
                t.run()
                null = Row("one", esp=("aes-256-gmac", None, None))
                fails("can be read", lambda: seen.judge(t.n_packets, ("esp-in-udp",), null))

            with tap.case("an algorithm that the table does not name, in either end's view"):
                t = trial(1)
                fails("Twinbore's child: suite", t.run)
                t.abandon()
                for wrong, because in (({"ike": ("aes-256-gcm-16", None, "sha2-384", 19)}, "Twinbore's IKE SA: suite"),
                                       ({"esp": ("aes-128-gcm-16", None, None)}, "Twinbore's child: suite")):
                    t = trial(0)
                    t.row = Row("one", **wrong)
                    fails(because, t.run)
                    t.abandon()
                t = trial(0)
                t.begin()
                shown = ss.sa("one")
                same("strongSwan", shown, tables.shown_by_strongswan(*t.row.ike))
                for wrong in (("aes-128-gcm-16", None, "sha2-384", 31), ("aes-256-gcm-16", None, "sha2-256", 31),
                              ("aes-256-gcm-16", None, "sha2-384", 19), ("aes-256-cbc", "sha2-384", "sha2-384", 31)):
                    fails("was to be chosen", lambda: same("strongSwan", shown, tables.shown_by_strongswan(*wrong)))
                t.end()

            with tap.case("loss during a rekey"):
                t = trial(0)
                t.fault = lambda: lose_one(ground.wan)
                fails("lost", t.run)
                t.abandon()
                ground.wan.nft("delete table inet loss\n")

            with tap.case("SAs of a row before it are not taken for its own"):
                t = trial(0)
                t.run()
                assert t.nothing_here() and not ss.sas("one")

        with tap.case("the guard of the wire sees a foreign port"):
            ground.b.gw.run([sys.executable, "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                             "s.sendto(b'....', ('192.0.2.1', 7777))"])
            fails("> 7777", lambda: guard.__exit__(None))

        with tap.case("the table covers every pair of its options' values"):
            for options, but in ((tables.suite_options(), ()), (tables.aws_options(), (("dh1", "dh2"),))):
                chosen = tables.covering(options, but=but)
                assert not tables.uncovered(chosen, options, but=but)
                gap = tables.uncovered(chosen[1:], options, but=but)
                assert gap, "a row could be left out"
            names = [r.name for r in tables.table("userspace")]
            assert len(set(names)) == len(names)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
