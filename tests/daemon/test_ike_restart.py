#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ike process ends, by a fault or hanging, and its successor goes on where it was.

usage: test_ike_restart.py TWINBORED FAKE_DP [CASE...]     as root; exits 77 (skipped) otherwise
"""

import os
import signal
import sys
import time

from gateway import wait_for
from pair import Pair, assert_crosswise, is_up, keys, kill_ike, run, sas, spis


def case_crashes():
    with Pair() as pair:
        pair.up()
        # keyd: nobody notices until the next authentication.
        os.kill(pair.a.pids()["keyd"], signal.SIGKILL)
        wait_for("a new keyd", lambda: "keyd" in pair.a.pids())
        assert is_up(pair.a)
        # ike: the next one goes on with the same SAs (case_resume_*).
        kill_ike(pair.a)
        assert_crosswise(pair)
        # dp: the IKE SA stays, the children are made anew.
        ike = sas(pair.a, "ike")[0]["spi_i"]
        before = set(keys(pair.a, "sa-add-out"))
        os.kill(pair.a.pids()["dp"], signal.SIGKILL)
        wait_for("new children", lambda: set(keys(pair.a, "sa-add-out")) > before and
                 is_up(pair.a) and is_up(pair.b), 20)
        assert [s["spi_i"] for s in sas(pair.a, "ike")] == [ike]
        assert_crosswise(pair)
        pair.stop()

def events(gw, *kinds):
    return [e for e in gw.ask("events")["events"] if e["kind"] in kinds]


def unnoticed(pair, before):
    """Neither end has lost or made an SA, and neither routing nor the peer was told of anything."""
    assert (spis(pair.a), spis(pair.b)) == before, (before, spis(pair.a), spis(pair.b))
    for gw in (pair.a, pair.b):
        assert gw.dp_log().count("sa-flush") == 1, gw.dp_log()
        assert not events(gw, "tunnel-down", "ike-down", "child-down", "dpd-timeout", "not-resumed")
        assert not [line for line in gw.dp_log() if line == "group-set 0:"][1:], gw.dp_log()


def case_resume_idle():
    """On either side, and twice in a row: nobody notices."""
    with Pair() as pair:
        pair.up()
        before = spis(pair.a), spis(pair.b)
        for gw in (pair.a, pair.b, pair.a, pair.a):
            kill_ike(gw)
            unnoticed(pair, before)
            wait_for("an event of it", lambda gw=gw: events(gw, "resumed"))
        # Message IDs go on: DPD on the old IKE SA, then new SAs by it.
        sent = pair.a.ask("show.counters")["ike"]["dpd-sent"]
        wait_for("a probe", lambda: pair.a.ask("show.counters")["ike"]["dpd-sent"] > sent)
        time.sleep(0.5)
        unnoticed(pair, before)
        pair.a.ask("rekey", tunnel="t1")
        wait_for("a new child SA", lambda: len(keys(pair.a, "sa-add-out")) == 2)
        pair.b.ask("rekey", tunnel="t1", what="ike")
        wait_for("a new IKE SA", lambda: len(events(pair.b, "ike-rekeyed")) == 1)
        kill_ike(pair.b)
        kill_ike(pair.a)
        assert is_up(pair.a) and is_up(pair.b)
        assert_crosswise(pair)
        pair.stop()


def case_resume_in_a_rekey():
    """Killed at every moment of a rekey, on each side: one pair of SAs comes out of it."""
    # Of who dies, who begins and what is rekeyed each pair of choices, or with TWINBORE_FULL all three.
    moments = range(8) if os.environ.get("TWINBORE_FULL") else (0, 3, 5, 6)
    with Pair() as pair:
        pair.up()
        for n in moments:
            gw, by = (pair.a, pair.b)[n & 1], (pair.a, pair.b)[n >> 1 & 1]
            what = "ike" if n & 4 else "child"
            pid = gw.pids()["ike"]
            before = spis(pair.a), spis(pair.b)
            by.ask("rekey", tunnel="t1", what=what)
            time.sleep(0.002 * n)
            os.kill(pid, signal.SIGKILL)
            wait_for("a new ike", lambda gw=gw, pid=pid: gw.pids().get("ike", pid) != pid, 20)

            def done(before=before):
                after = spis(pair.a), spis(pair.b)
                return (all(len(x) == 2 for x in after) and after[0][0] != before[0][0] or
                        after[0][1][1:] != before[0][1][1:]) and is_up(pair.a) and is_up(pair.b) and \
                    len(after[0]) == len(after[1]) == 2
            wait_for("the end of rekey %d" % n, done, 30)
            assert_crosswise(pair)
        for gw in (pair.a, pair.b):
            assert gw.dp_log().count("sa-flush") == 1
            assert not events(gw, "tunnel-down", "dpd-timeout", "not-resumed")
        pair.stop()


def case_resume_in_ike_auth():
    """What is not established has no record: it starts anew, and comes up."""
    for side in ("a", "b"):
        with Pair() as pair:
            gw = getattr(pair, side)
            pair.up()
            pair.a.ask("down", tunnel="t1")
            wait_for("both down", lambda: not is_up(pair.a) and not is_up(pair.b))
            # keyd stands still: AUTH is not computed.
            keyd = gw.pids()["keyd"]
            os.kill(keyd, signal.SIGSTOP)
            pair.a.ask("up", tunnel="t1")
            time.sleep(0.3)
            os.kill(gw.pids()["ike"], signal.SIGKILL)
            os.kill(keyd, signal.SIGCONT)
            wait_for("a new ike", lambda gw=gw: "ike" in gw.pids(), 20)
            # `up` was the old process' to know, but the configuration of a starts the tunnel.
            if side == "b":
                # Or its first request would have to run out of repetitions.
                os.kill(pair.a.pids()["ike"], signal.SIGKILL)
            pair.up(20)
            assert_crosswise(pair)
            pair.stop()


def case_resume_without_the_dataplane():
    """It has lost the SAs meanwhile: new children by the same IKE SA."""
    with Pair() as pair:
        pair.up()
        ike, child = (sas(pair.a, kind)[0] for kind in ("ike", "child"))
        pair.a.set_mode("forget")
        kill_ike(pair.a)
        pair.a.set_mode("")
        wait_for("a new child SA", lambda: [s["spi_in"] for s in sas(pair.a, "child")] not in
                 ([child["spi_in"]], []) and is_up(pair.a) and is_up(pair.b), 20)
        assert [s["spi_i"] for s in sas(pair.a, "ike")] == [ike["spi_i"]]
        assert_crosswise(pair)
        pair.stop()


def case_resume_with_another_configuration():
    """The tunnel's networks changed while no ike process ran: its SAs go, told to the peer."""
    with Pair() as pair:
        pair.up()
        before = sas(pair.a, "child")[0]["spi_in"]
        for gw in (pair.a, pair.b):
            with open(gw.config_path, encoding="utf-8") as f:
                text = f.read()
            gw.write_config(text.replace("10.1.0.0/24", "10.1.0.0/25"))
        pair.b.ask("reload")
        os.kill(pair.a.pids()["ike"], signal.SIGKILL)
        pair.a.process.send_signal(signal.SIGHUP)
        wait_for("SAs for the new networks", lambda: is_up(pair.a) and is_up(pair.b) and
                 any("10.1.0.0/25" in s["local_ts"] for s in sas(pair.a, "child")), 40)
        assert before not in [s["spi_in"] for s in sas(pair.a, "child")]
        assert_crosswise(pair)
        pair.stop()


def store_of(gw):
    """The memory of the records, by way of the supervisor's descriptor."""
    folder = "/proc/%d/fd" % gw.process.pid
    for fd in os.listdir(folder):
        if os.readlink(folder + "/" + fd).startswith("/memfd:twinbore-store"):
            return open(folder + "/" + fd, "r+b")
    raise AssertionError("the supervisor has no such memory")


def case_resume_damaged():
    """Records that cannot be used: that tunnel starts anew, with a word about it."""
    with Pair() as pair:
        pair.up()
        old = sas(pair.a, "ike")[0]["spi_i"]
        with store_of(pair.a) as f:
            data = f.read()
            at = data.find(b"TWIS")
            assert at > 0, "there is no record"
            f.seek(at + 300)
            f.write(bytes([data[at + 300] ^ 1]))
        os.kill(pair.a.pids()["ike"], signal.SIGKILL)
        wait_for("a new IKE SA", lambda: is_up(pair.a) and is_up(pair.b) and
                 [s["spi_i"] for s in sas(pair.a, "ike")] not in ([old], []), 30)
        told = events(pair.a, "not-resumed")
        assert len(told) == 1 and "damaged" in told[0]["text"], told
        assert pair.a.ask("show.counters")["ike"]["ike-sas-not-resumed"] == 1
        assert_crosswise(pair)
        # All of it is noise.
        old = sas(pair.a, "ike")[0]["spi_i"]
        with store_of(pair.a) as f:
            size = len(f.read())
            f.seek(64)
            f.write(os.urandom(size - 64))
        os.kill(pair.a.pids()["ike"], signal.SIGKILL)
        wait_for("a new IKE SA", lambda: is_up(pair.a) and is_up(pair.b) and
                 [s["spi_i"] for s in sas(pair.a, "ike")] not in ([old], []), 30)
        kill_ike(pair.a)
        assert_crosswise(pair)
        pair.stop()


def case_resume_in_vain():
    """A process that dies again and again does so without the records in the end."""
    with Pair() as pair:
        pair.up()
        old = sas(pair.a, "ike")[0]["spi_i"]
        for _ in range(5):
            kill_ike(pair.a)
            assert sas(pair.a, "ike")[0]["spi_i"] == old
        os.kill(pair.a.pids()["ike"], signal.SIGKILL)
        wait_for("a new IKE SA", lambda: is_up(pair.a) and is_up(pair.b) and
                 [s["spi_i"] for s in sas(pair.a, "ike")] not in ([old], []), 30)
        told = events(pair.a, "not-resumed")
        assert len(told) == 1 and "everything starts anew" in told[0]["text"], told
        assert pair.a.dp_log().count("sa-flush") == 2
        assert_crosswise(pair)
        pair.stop()


def case_resume_leaves_no_keys():
    """What is deleted is wiped from the memory; the other children have no way to it."""
    with Pair() as pair:
        pair.up()
        with store_of(pair.a) as f:
            assert f.read().count(b"TWIS") == 1
        for role, pid in pair.a.pids().items():
            names = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
            has = any(name.startswith("/memfd:twinbore-store") for name in names)
            assert has == (role in ("ike", "supervisor")), (role, names)
        with open("/proc/%d/smaps" % pair.a.process.pid, encoding="ascii") as f:
            text = f.read()
        part = text[text.index("/memfd:twinbore-store"):]
        flags = [line for line in part.splitlines() if line.startswith("VmFlags:")][0].split()
        assert "dd" in flags and "dc" in flags, flags
        # The address sanitizer makes mlock() do nothing.
        assert "lo" in flags or "libasan" in text, flags
        pair.a.ask("rekey", tunnel="t1", what="ike")
        wait_for("a new IKE SA", lambda: len(events(pair.a, "ike-rekeyed")) == 1)
        wait_for("the old one's end", lambda: len(sas(pair.a, "ike")) == 1)
        pair.a.ask("down", tunnel="t1")
        wait_for("both down", lambda: not is_up(pair.a) and not is_up(pair.b))
        with store_of(pair.a) as f:
            data = f.read()
            assert b"TWIS" not in data
        pair.stop()


def case_watchdog():
    """A process that hangs is killed and replaced; one that is only slow is not."""
    pair = Pair()
    for gw in (pair.a, pair.b):
        gw.more = ["--watchdog", "6"]
    with pair:
        pair.up()
        before = spis(pair.a), spis(pair.b)
        pids = pair.a.pids()
        for role in ("ike", "keyd", "route"):
            os.kill(pids[role], signal.SIGSTOP)
            time.sleep(1.2)
            os.kill(pids[role], signal.SIGCONT)
        time.sleep(1)
        assert pair.a.pids() == pids
        for role in ("ike", "keyd"):
            os.kill(pids[role], signal.SIGSTOP)
        for role in ("ike", "keyd"):
            wait_for("a new " + role, lambda role=role: pair.a.pids().get(role, pids[role]) != pids[role], 20)
        wait_for("its tunnels", lambda: is_up(pair.a))
        unnoticed(pair, before)
        told = [e["text"] for e in events(pair.a, "process-hung")]
        assert sorted(t.split()[0] for t in told) == ["ike", "keyd"], told
        pair.stop()


if __name__ == "__main__":
    sys.exit(run(dict(globals())))
