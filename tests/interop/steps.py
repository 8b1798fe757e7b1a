# SPDX-License-Identifier: Apache-2.0
"""steps: what some rows of the matrix do besides coming up, carrying traffic and rekeying."""

from lab import cut, heal, until
from mobile import MOVES

DETECTION_S = 10


def dead_peer(t):
    """Silence between the gateways: both sides notice, and the tunnel comes up again afterwards."""
    cut(t.ground.wan, t.places.their_local)
    try:
        t.tb.wait_down(t.row.name, timeout=DETECTION_S)
        until("the peer gave us up", lambda: not t.ss.sas(t.row.name), DETECTION_S)
        until("Twinbore holds no SA of it", t.nothing_here, DETECTION_S)
    finally:
        heal(t.ground.wan)
    t.begin()
    t.reach()


def child_delete_theirs(t):
    """The peer deletes the child alone; a new one comes up on what is there."""
    t.ss.terminate_child(t.row.name, t.row.name)
    until("Twinbore's child is gone", lambda: not t.tb.ids(t.row.name))
    t.tb.wait_down(t.row.name)
    t.ss.initiate(t.row.name, name=t.row.name)
    t.both_up()
    t.reach()


def many_rekeys(t):
    """More of them than one, by turns, under traffic."""
    with t.flow() as flow:
        for _ in range(5):
            for side in ("ours", "theirs"):
                for what in ("child", "child", "ike"):
                    t.rekey(side, what)
        t.say(f"{t.whole(flow)} packets over 30 rekeys")


def twin(t):
    """A second tunnel between the same identities: neither end may take it for the first one come again (RFC 7296
    2.4), whichever was first."""
    other = t.twin()
    ours, theirs = t.tb.ids(t.row.name, "ike"), t.ss.ids("ike", t.row.name)
    other.begin()
    other.reach()
    t.reach()
    assert t.tb.ids(t.row.name, "ike") == ours and t.ss.ids("ike", t.row.name) == theirs, "the first tunnel was replaced"
    other.end()
    t.reach()


STEPS = {"twin": twin, "dead-peer": dead_peer, "child-delete-theirs": child_delete_theirs, "many-rekeys": many_rekeys, **MOVES}
