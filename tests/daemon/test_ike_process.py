#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ike process between its neighbours: another gateway's, the dataplane, the command line.

usage: test_ike_process.py TWINBORED FAKE_DP [CASE...]     as root; exits 77 (skipped) otherwise
"""

import os
import re
import signal
import subprocess
import sys
import time

from gateway import AskError, alive, wait_for
from pair import SPACES, Pair, assert_crosswise, gateway, ip, is_up, keys, kill_ike, run, sas, spis


def case_up():
    with Pair() as pair:
        pair.up()
        assert_crosswise(pair)
        a_ike, b_ike = sas(pair.a, "ike")[0], sas(pair.b, "ike")[0]
        assert a_ike["initiator"] and not b_ike["initiator"]
        assert (a_ike["spi_i"], a_ike["spi_r"]) == (b_ike["spi_i"], b_ike["spi_r"])
        # RFC 4555 3.3: to port 4500 in any case, so that a NAT may come later.
        assert a_ike["local"] == "192.0.2.1:4500" and a_ike["remote"] == "192.0.2.2:4500", a_ike
        child = sas(pair.a, "child")[0]
        assert child["spi_out"] == sas(pair.b, "child")[0]["spi_in"]
        assert sorted(child["local_ts"]) == ["10.1.0.0/24", "2001:db8:1::/64"], child
        assert child["current_out"] is True and child["udp_encap"] is False
        t = pair.a.ask("show.tunnels")["tunnels"][0]
        assert t["phase"] == "up" and t["connection"] == "c" and t["natt"] is False, t
        # Routing followed: the group has its member.
        for gw in (pair.a, pair.b):
            wait_for("the group", lambda gw=gw: "group-set 0: 0" in gw.dp_log())
        kinds = [e["kind"] for e in pair.a.ask("events")["events"]]
        for kind in ("ike-up", "child-up", "tunnel-up", "switched", "process-started"):
            assert kind in kinds, (kind, kinds)
        # Nothing to warn of in the processes: memory is locked, libcrypto's heap is keyd's own.
        for gw in (pair.a, pair.b):
            assert not re.search("warn (keyd|ike|route|control):", gw.log()), gw.log()
        pair.stop()


def case_ipv6():
    with Pair(v6=True) as pair:
        pair.up()
        assert_crosswise(pair)
        assert sas(pair.a, "ike")[0]["remote"] == "[2001:db8::2]:4500"
        pair.stop()


def case_without_mobike():
    with Pair(b_more="        mobike: false\n") as pair:
        pair.up()
        ike = sas(pair.b, "ike")[0]
        # Whose initiator has it moves to 4500 before it knows that its peer has not.
        assert ike["local"] == "192.0.2.2:4500" and not ike["natt"], ike
        pair.stop()
    with Pair(a_more="        mobike: false\n") as pair:
        pair.up()
        ike = sas(pair.a, "ike")[0]
        assert ike["local"] == "192.0.2.1:500" and ike["remote"] == "192.0.2.2:500", ike
        pair.stop()


def case_address_changes():
    """A reload brings another local_address: the SAs stay, the peer follows."""
    named = "        local_id: a.example.net\n"
    with Pair(a_more=named, b_more="        remote_id: a.example.net\n") as pair:
        pair.up()
        ip("-n", SPACES[0], "addr", "add", "192.0.2.7/24", "dev", "wan")
        ike, child = sas(pair.a, "ike")[0]["spi_i"], sas(pair.a, "child")[0]["spi_in"]
        with open(pair.a.config_path, encoding="utf-8") as f:
            text = f.read()
        pair.a.write_config(text.replace("192.0.2.1/24", "192.0.2.1/24, 192.0.2.7/24")
                            .replace("local_address: 192.0.2.1", "local_address: 192.0.2.7"))
        assert pair.a.ask("reload")["changed"] == ["t1"]
        wait_for("the peer to follow", lambda: sas(pair.b, "ike")[0]["remote"] == "192.0.2.7:4500")
        wait_for("its children to follow",
                 lambda: sas(pair.b, "child")[0]["remote"].startswith("192.0.2.7"))
        assert [s["spi_i"] for s in sas(pair.a, "ike")] == [ike]
        assert [s["spi_in"] for s in sas(pair.a, "child")] == [child]
        assert any(e["kind"] == "peer-moved" for e in pair.b.ask("events")["events"])
        assert pair.b.ask("show.counters")["ike"]["address-updated"] == 1
        pair.a.ask("rekey", tunnel="t1")
        wait_for("a new child SA", lambda: child not in [s["spi_in"] for s in sas(pair.a, "child")], 20)
        assert_crosswise(pair)
        pair.stop()


def case_redirect():
    """The responder sends its peer away: one that refuses stays, one that follows goes and finds nobody."""
    with Pair() as pair:
        pair.up()
        for to, code in (("192.0.2.2", "failed"), ("2001:db8::9", "failed"), ("224.0.0.1", "failed"),
                         ("nowhere", "bad-params")):
            try:
                pair.b.ask("redirect", tunnel="t1", to=to)
                raise AssertionError(to + " was taken")
            except AskError as e:
                assert e.code == code, e
        pair.b.ask("redirect", tunnel="t1", to="192.0.2.9")  # a does not say that it can do that
        wait_for("a word about it", lambda: any("does not support" in e["text"] for e in pair.b.ask("events")["events"]))
        time.sleep(0.5)
        assert is_up(pair.a)
        pair.stop()
    with Pair(a_more="        redirect: follow\n") as pair:
        pair.up()
        pair.b.ask("redirect", tunnel="t1", to="192.0.2.9")
        wait_for("a to go", lambda: not is_up(pair.a) and not is_up(pair.b))
        assert pair.a.ask("show.counters")["ike"]["redirected"] == 1
        assert any(e["kind"] == "redirected" and "192.0.2.9" in e["text"]
                   for e in pair.a.ask("events")["events"])
        pair.b.ask("redirect", tunnel="t1", to="off")
        pair.stop()


def case_peer_rebooted():
    """Killed outright, one end says so by a token as soon as it is back (RFC 6290), whatever DPD's interval."""
    slow = "        dpd: {interval: 30s, timeout: 120s, action: restart}\n"
    with Pair() as pair:
        for gw in (pair.a, pair.b):
            with open(gw.config_path, encoding="utf-8") as f:
                text = f.read()
            gw.write_config(re.sub(r"        dpd: .*\n", slow, text))
            gw.ask("reload")
        pair.up()
        path = os.path.join(pair.b.folder, "state", "qcd-b.secret")
        assert (os.stat(path).st_mode & 0o7777, os.stat(path).st_size) == (0o600, 32)
        for secret in ("kept", "lost"):
            ike = sas(pair.a, "ike")[0]["spi_i"]
            pids = list(pair.b.pids().values())
            pair.b.process.kill()
            pair.b.process.wait()
            wait_for("its processes' end", lambda: not any(alive(p) for p in pids))
            if secret == "lost":
                os.unlink(path)
            pair.b.start()
            # Anything that is sent gets the token for an answer; nothing else is due for half a minute.
            begun = time.monotonic()
            pair.a.ask("rekey", tunnel="t1", what="ike")
            if secret == "lost":
                wait_for("an answer", lambda: pair.a.ask("show.counters")["ike"]["rx-qcd-token-bad"])
                time.sleep(1)
                counters = pair.a.ask("show.counters")["ike"]
                assert counters["qcd-token-taken"] == 1 and counters["rx-qcd-token-bad"] > 0, counters
                assert [s["spi_i"] for s in sas(pair.a, "ike")] == [ike], "a token of another secret was believed"
                break
            wait_for("a new IKE SA", lambda: is_up(pair.a) and is_up(pair.b) and
                     [s["spi_i"] for s in sas(pair.a, "ike")] not in ([ike], []), 10)
            assert time.monotonic() - begun < 29
            assert pair.a.ask("show.counters")["ike"]["qcd-token-taken"] == 1
            assert pair.b.ask("show.counters")["ike"]["qcd-token-sent"] >= 1
            assert any(e["kind"] == "peer-rebooted" for e in pair.a.ask("events")["events"])


def case_qcd_secret():
    """A file that others can read is not used, and said; a folder that cannot be made is no end either."""
    with gateway("q", SPACES[0]) as gw:
        folder = os.path.join(gw.folder, "state")
        path = os.path.join(folder, "qcd-q.secret")
        os.mkdir(folder)
        for make in (lambda: write(path, b"x" * 32, 0o644), lambda: write(path, b"x" * 31, 0o600),
                     lambda: os.symlink("/dev/zero", path), lambda: os.mkdir(path)):
            make()
            gw.start()
            assert "warn" in gw.log() and path in gw.log(), gw.log()
            assert gw.stop() == 0
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)
            os.unlink(gw.log_path)
        os.rmdir(folder)
        write(folder, b"in the way", 0o600)
        gw.start()
        assert "cannot open " + path in gw.log(), gw.log()
        assert gw.stop() == 0


def write(path, data, mode):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def case_udp_encapsulation():
    more = "        udp_encapsulation: force\n"
    with Pair(a_more=more, b_more=more) as pair:
        pair.up()
        assert_crosswise(pair)
        ike = sas(pair.a, "ike")[0]
        assert ike["local"] == "192.0.2.1:4500" and ike["remote"] == "192.0.2.2:4500", ike
        assert ike["natt"] and sas(pair.b, "child")[0]["udp_encap"]
        pair.stop()


def case_commands():
    with Pair() as pair:
        pair.up()
        before = sas(pair.a, "child")[0]["spi_in"]
        pair.a.ask("rekey", tunnel="t1")
        wait_for("a new child SA", lambda: [s["spi_in"] for s in sas(pair.b, "child")
                                            if s["spi_out"] != before and s["current_out"]])
        wait_for("the old one's end", lambda: [s["spi_in"] != before and len(sas(pair.a, "child")) == 1
                                               for s in sas(pair.a, "child")] == [True], 20)
        ike = sas(pair.a, "ike")[0]["spi_i"]
        pair.b.ask("rekey", tunnel="t1", what="ike")
        wait_for("a new IKE SA", lambda: [s["spi_i"] for s in sas(pair.a, "ike")] not in ([ike], []) and
                 len(sas(pair.a, "ike")) == 1, 20)
        assert_crosswise(pair)
        pair.a.ask("down", tunnel="t1")
        wait_for("both down", lambda: not is_up(pair.a) and not is_up(pair.b))
        assert sas(pair.b, "ike") == []
        time.sleep(1)
        assert not is_up(pair.a)
        pair.a.ask("up", tunnel="t1")
        pair.up()
        for method in ("up", "down", "rekey"):
            try:
                pair.a.ask(method, tunnel="t9")
                raise AssertionError("t9 was found")
            except AskError as e:
                assert e.code == "no-such-tunnel", e
        pair.stop()


def resource_slots(gw):
    """Worker: slot that it was last told to send by alone (RFC 9611)."""
    return dict(re.search(r"slot=(\d+) .*resource=(\d+)", line).groups()[::-1]
                for line in gw.dp_log() if line.startswith("sa-switch ") and "resource=" in line)


def case_per_worker_sas():
    """Two workers at each end: each sends by an SPI of its own, and a rekey keeps it so."""
    more = "        per_worker_sas: true\n"
    with Pair(a_more=more, b_more=more) as pair:
        for gw in (pair.a, pair.b):
            gw.stop()
            with open(gw.config_path, encoding="utf-8") as f:
                gw.write_config(f.read().replace("workers: 1", "workers: 2"))
        pair.b.start()
        pair.a.start()
        pair.up()
        for gw in (pair.a, pair.b):
            wait_for("a child of each worker", lambda gw=gw: len(sas(gw, "child")) == 3)
        # The fake dataplane sees no packet: who answered switches when the SAs have stood a while.
        wait_for("slots of two workers", lambda: sorted(resource_slots(pair.a)) == ["1", "2"])
        children = sas(pair.a, "child")
        assert sorted(str(c.get("worker")) for c in children) == ["0", "1", "None"], children
        assert len({c["spi_out"] for c in children}) == 3
        assert len(set(resource_slots(pair.a).values())) == 2
        before = resource_slots(pair.a)
        # A new ike process goes on with each worker's.
        all_of_them = spis(pair.a), spis(pair.b)
        for gw in (pair.a, pair.b):
            kill_ike(gw)
        time.sleep(0.5)
        assert (spis(pair.a), spis(pair.b)) == all_of_them
        assert resource_slots(pair.a) == before
        pair.a.ask("rekey", tunnel="t1")
        wait_for("new slots of both", lambda: sorted(resource_slots(pair.a)) == ["1", "2"] and
                 not set(resource_slots(pair.a).values()) & set(before.values()), 20)
        assert_crosswise(pair)
        pair.stop()


def case_goodbye():
    """An orderly stop deletes the SAs at the peer, at once and not by its DPD."""
    with Pair() as pair:
        pair.up()
        begun = time.monotonic()
        assert pair.a.stop() == 0
        wait_for("the peer to know", lambda: not is_up(pair.b))
        assert time.monotonic() - begun < 50
        assert "deleted by the peer" in pair.b.log()
        # The one that initiates finds a new one by itself.
        pair.a.start()
        pair.up()
        pair.stop()


def case_wrong_psk():
    pair = Pair()
    pair.b.write_psk("canary-canary-0123456789")
    with pair:
        wait_for("the refusal", lambda: "auth-failed" in pair.b.log(), 10)
        assert not is_up(pair.a) and not is_up(pair.b)
        assert keys(pair.b, "sa-add-in") == {}
        fix = pair.b.ask("explain", tunnel="t1")["fix"]
        with open(pair.b.config_path, encoding="utf-8") as f:
            assert "psk_file:" in f.read().splitlines()[fix["line"] - 1], fix
        assert fix["text"].endswith("write the same key into the file at both ends"), fix
        told = pair.a.ask("explain", tunnel="t1")["mismatch"]
        assert told["by_peer"] and ", asking for " in told["ours"], told
        # Neither key shows anywhere.
        for gw in (pair.a, pair.b):
            assert "canary" not in gw.log() and "key for tests" not in gw.log()
        reason = pair.a.ask("show.tunnels")["tunnels"][0]["reason"]
        assert reason != "", reason
        assert pair.b.ask("show.counters")["ike"]["authentication-failed"] >= 1
        # The right one by a reload.
        pair.b.write_psk("a pre-shared key for tests")
        assert pair.b.ask("reload")["unchanged"] == 1
        pair.a.ask("up", tunnel="t1")
        pair.up(40)
        pair.stop()


# What a and b say more, whose view, the layer, a part of what differs, of the line that mends it.
DISAGREEMENTS = (
    ("ike: {dh: [14]}", "ike: {dh: [19, 20]}", "b", "ike", "differs in DH: they 14, we 19,20",
     "dh: [19, 20, 14]"),
    ("ike: {dh: [14]}", "ike: {dh: [19, 20]}", "a", "ike", "the peer accepts none of ours", None),
    ("esp: {encryption: [aes-128-cbc], integrity: [sha2-256]}",
     "esp: {encryption: [aes-256-cbc], integrity: [sha2-256]}", "b", "child",
     "differs in encryption: they aes-128-cbc, we aes-256-cbc",
     "encryption: [aes-256-cbc, aes-128-cbc]"),
    ("local_id: x.example.net", "", "b", "auth", "x.example.net", "remote_id: x.example.net"),
)


def case_explain():
    for a_more, b_more, side, layer, differs, fix in DISAGREEMENTS:
        more = ["        %s\n" % x if x else "" for x in (a_more, b_more)]
        with Pair(a_more=more[0], b_more=more[1]) as pair:
            gw = pair.a if side == "a" else pair.b

            def told(gw=gw):
                return gw.ask("explain", tunnel="t1")["mismatch"]

            wait_for("the disagreement", told, 10)
            answer = gw.ask("explain", tunnel="t1")
            assert answer["broken"] == layer and answer["mismatch"]["layer"] == layer, answer
            assert differs in answer["mismatch"]["differs"], answer
            assert not answer["up"]
            states = {x["layer"]: x["state"] for x in answer["layers"]}
            assert states["path"] == "ok" and states[layer] == "failed", states
            assert states["traffic"] == "unknown", states
            assert (answer["fix"] or {}).get("text", "").endswith(fix or ""), answer
            assert (answer["fix"] is None) == (fix is None), answer
            if fix:
                # The line is the one of the text, where the key stands there.
                with open(gw.config_path, encoding="utf-8") as f:
                    line = f.read().splitlines()[answer["fix"]["line"] - 1]
                assert fix.split(":")[0] in line or "name: t1" in line, (line, answer)
            found = [f for f in gw.ask("doctor")["findings"] if f["subject"] == "t1"]
            assert [f["layer"] for f in found] == [layer], found
            pair.stop()


def case_explain_path():
    """Nobody there; then all is well."""
    pair = Pair()
    with pair.a:
        pair.a.start()
        wait_for("no answer", lambda: pair.a.ask("explain", tunnel="t1")["broken"] == "path", 20)
        found = pair.a.ask("doctor")["findings"]
        assert [f["layer"] for f in found if f["subject"] == "t1"] == ["path"], found
        assert pair.a.stop() == 0
    with Pair() as pair:
        pair.up()
        answer = pair.a.ask("explain", tunnel="t1")
        assert answer["broken"] is None and answer["mismatch"] is None, answer
        assert [x["state"] for x in answer["layers"]] == ["ok"] * 7, answer
        found = [f for f in pair.a.ask("doctor")["findings"] if f["severity"] == "error"]
        assert found == [], found


def inject(script):
    """Runs a few lines of Python with a UDP socket `s` in the namespace of a, towards b."""
    code = ("import os, random, socket, time\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "s.bind(('192.0.2.1', 0))\n" + script)
    subprocess.run(["ip", "netns", "exec", SPACES[0], sys.executable, "-c", code], check=True)


def case_bad_datagrams():
    """Unauthenticated bytes change counters, and nothing else."""
    with Pair() as pair:
        pair.up()
        before = pair.b.ask("show.counters")["ike"]
        spis = [s["spi_i"] for s in sas(pair.b, "ike")]
        inject("""
to = ('192.0.2.2', 4500)
for i in range(10):
    s.sendto(b'\\xff', to)                                  # keepalive
    s.sendto(b'\\x12\\x34\\x56\\x78' + bytes(60), to)       # ESP
    s.sendto(b'\\0\\0', to)                                 # too short for the marker
    s.sendto(bytes(20000), to)                              # longer than any message
    s.sendto(bytes(20000), ('192.0.2.2', 500))
    s.sendto(b'', ('192.0.2.2', 500))
    time.sleep(0.05)                                        # they must not fill its buffer
random.seed(7)
for i in range(2000):
    n = random.randrange(1, 400)
    s.sendto(random.randbytes(n), ('192.0.2.2', 500))
    s.sendto(bytes(4) + random.randbytes(n), to)
    h = random.randbytes(16) + bytes([random.randrange(64), 0x20, random.randrange(30, 42), 8]) \\
        + bytes(4) + (28 + n).to_bytes(4, 'big')
    s.sendto(h + random.randbytes(n), ('192.0.2.2', 500))
""")
        after = pair.b.ask("show.counters")["ike"]
        assert after["socket-rx-keepalives"] - before["socket-rx-keepalives"] == 10, after
        assert after["socket-rx-esp"] - before["socket-rx-esp"] == 10, after
        assert after["socket-rx-short"] - before["socket-rx-short"] == 10, after
        assert after["socket-rx-too-long"] - before["socket-rx-too-long"] == 20, after
        for name in ("ike-sa-established", "child-sa-established", "authentication-failed"):
            assert after[name] == before[name], name
        assert is_up(pair.a) and is_up(pair.b)
        assert [s["spi_i"] for s in sas(pair.b, "ike")] == spis
        assert all(p["restarts"] == 0 for p in pair.b.ask("status")["processes"])
        # Lines that the network causes are few.
        assert len(pair.b.log()) < 100000, len(pair.b.log())
        pair.stop()


def poke(gw):
    """Has fake_dp look at its mode: an equal configuration reaches it and nobody else minds."""
    assert gw.ask("reload")["changed"] == []


def case_hostile_dataplane():
    """Random events of a dataplane that was taken over: refused one by one, nothing dies."""
    with Pair() as pair:
        pair.up()
        ike = sas(pair.a, "ike")[0]["spi_i"]
        pair.a.set_mode("hostile")
        poke(pair.a)
        wait_for("nonsense", lambda: pair.a.dp_log().count("nonsense sent") == 2, 20)
        assert is_up(pair.a) and is_up(pair.b)
        assert [s["spi_i"] for s in sas(pair.a, "ike")] == [ike]
        assert pair.a.ask("show.counters")["ike"]["dataplane-bad-events"] > 1000
        assert all(p["restarts"] == 0 for p in pair.a.ask("status")["processes"])
        pair.a.set_mode("")
        # The rings are in order still.
        pair.a.ask("rekey", tunnel="t1")
        wait_for("a new child SA", lambda: len(keys(pair.a, "sa-add-out")) >= 2)
        pair.stop()


def case_broken_rings():
    """Indexes out of range: nothing is read, it is said once, a new dataplane heals it."""
    with Pair() as pair:
        pair.up()
        pair.a.set_mode("broken")
        poke(pair.a)
        wait_for("the complaint", lambda: pair.a.log().count("broke its event ring") == 2)
        assert len(pair.a.ask("show.tunnels")["tunnels"]) == 1
        pair.a.set_mode("")
        old = set(keys(pair.a, "sa-add-out"))
        os.kill(pair.a.pids()["dp"], signal.SIGKILL)
        wait_for("new SAs", lambda: set(keys(pair.a, "sa-add-out")) > old and is_up(pair.a), 20)
        assert pair.a.log().count("broke its event ring") == 2
        pair.stop()


def case_reload_restarts_only_what_changed():
    """A timer changes: the SAs stay. The networks change: new SAs."""
    with Pair() as pair:
        pair.up()
        spi = sas(pair.a, "child")[0]["spi_in"]
        text = pair.a.config(remote="192.0.2.2", startup="start", dpd="2s",
                             local_network="10.1.0.0/24, 2001:db8:1::/64",
                             remote_network="10.2.0.0/24, 2001:db8:2::/64")
        pair.a.write_config(text)
        assert pair.a.ask("reload")["changed"] == ["t1"]
        time.sleep(0.5)
        assert [s["spi_in"] for s in sas(pair.a, "child")] == [spi]
        for gw, net in ((pair.a, "10.1.0.0/24, 2001:db8:1::/64"),
                        (pair.b, "10.1.0.0/25, 2001:db8:1::/64")):
            with open(gw.config_path, encoding="utf-8") as f:
                old = f.read()
            gw.write_config(old.replace(net, "10.1.0.0/25, 2001:db8:1::/64")
                            .replace("10.1.0.0/24, 2001:db8:1::/64", "10.1.0.0/25, 2001:db8:1::/64"))
        pair.b.ask("reload")
        pair.a.ask("reload")
        wait_for("SAs for the new networks", lambda: is_up(pair.a) and is_up(pair.b) and
                 any("10.1.0.0/25" in s["local_ts"] for s in sas(pair.a, "child")), 40)
        assert_crosswise(pair)
        pair.stop()


if __name__ == "__main__":
    sys.exit(run(dict(globals())))
