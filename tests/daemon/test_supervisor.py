#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The supervisor as a person meets it: errors, start, crashes, reload, stop.

usage: test_supervisor.py TWINBORED FAKE_DP [CASE...]     as root; exits 77 (skipped) otherwise
Runs itself again in a network namespace of its own: UDP 500 is free there.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import time

from gateway import ACCOUNT, ROLES, AskError, Gateway, account_ids, alive, wait_for

PROGRAM, FAKE_DP = "", ""


def new_gateway(name="gw"):
    return Gateway(PROGRAM, FAKE_DP, name)


# ------------------------------------------------------------------- errors


def expect_failure(gw, status, *texts):
    got, err = gw.run()
    assert got == status, (got, err)
    for text in texts:
        assert text in err, "%r is not in:\n%s" % (text, err)
    return err


def case_command_line():
    for words, status in ((["--nonsense"], 2), (["stray"], 2), (["--config"], 2), (["--nice", "20"], 2), (["--nice", ""], 2),
                          (["--role", "nonsense"], 2), (["--help"], 0), (["--version"], 0)):
        done = subprocess.run([PROGRAM] + words, capture_output=True, check=False, timeout=60)
        assert done.returncode == status, (words, done)


def case_no_configuration():
    with new_gateway() as gw:
        os.unlink(gw.config_path)
        expect_failure(gw, 2, gw.config_path + ": No such file or directory", "--config")


def case_configuration_is_a_folder():
    with new_gateway() as gw:
        os.unlink(gw.config_path)
        os.mkdir(gw.config_path)
        expect_failure(gw, 2, gw.config_path + ": not a regular file")
        os.rmdir(gw.config_path)


def case_empty_configuration():
    with new_gateway() as gw:
        gw.write_config("")
        expect_failure(gw, 2, "the file is empty")


def case_all_errors_with_places():
    with new_gateway() as gw:
        text = gw.config().replace("local_networks", "local_netwrks").replace("startup: add",
                                                                              "startup: sometimes")
        gw.write_config(text)
        lines = text.splitlines()
        err = expect_failure(gw, 2, "'local_netwrks'", "'local_networks'")
        for word in ("local_netwrks", "sometimes"):
            row = [i for i, line in enumerate(lines) if word in line][0] + 1
            assert "%s:%d:" % (gw.config_path, row) in err, err


def case_more_selectors_than_an_sa_holds():
    with new_gateway() as gw:
        gw.write_config(gw.config(local_network=", ".join("10.%d.0.0/24" % n for n in range(1, 15, 2))))
        expect_failure(gw, 2, gw.config_path + ":", "7 entries", "at most 6")


def case_unknown_user():
    with new_gateway() as gw:
        gw.write_config(gw.config(user="twinbore-nobody"))
        expect_failure(gw, 1, "user 'twinbore-nobody' does not exist: create it with "
                       "`useradd --system --no-create-home twinbore-nobody`, or set gateway.user")


def case_user_root():
    with new_gateway() as gw:
        gw.write_config(gw.config(user="root"))
        got, err = gw.run()
        assert got in (1, 2) and "root" in err, (got, err)


def case_psk_files():
    with new_gateway() as gw:
        place = "%s:%d:" % (gw.config_path,
                            [i for i, line in enumerate(gw.config().splitlines())
                             if "psk_file:" in line][0] + 1)
        for mode in (0o640, 0o604, 0o660, 0o666):
            gw.write_psk("a pre-shared key for tests", mode)
            expect_failure(gw, 2, place, "open to other users (mode %04o)" % mode,
                           "`chmod 600 " + gw.psk_path + "`")
        gw.write_psk("short")
        expect_failure(gw, 2, place, "fewer than 8 characters", "twinbore genpsk")
        gw.write_psk("x" * 200)
        expect_failure(gw, 2, place, "more than 128 characters")
        os.unlink(gw.psk_path)
        expect_failure(gw, 2, place, "No such file or directory", "twinbore genpsk")
        os.mkdir(gw.psk_path, 0o700)
        expect_failure(gw, 2, place, "not a regular file")
        os.rmdir(gw.psk_path)
        # The text itself is keyd's business; its word ends the start, and shows no key.
        gw.write_psk("tab\tin the key")
        err = expect_failure(gw, 1, "'t1'", "printable ASCII")
        assert "in the key" not in err


def case_dataplane_missing():
    with new_gateway() as gw:
        gw.fake_dp = "/nonexistent/twinbore-dp"
        expect_failure(gw, 1, "/nonexistent/twinbore-dp", "--dataplane")


def case_dataplane_fatal():
    with new_gateway() as gw:
        gw.set_mode("fatal")
        err = expect_failure(gw, 1, "dp: port 'wan' does not exist: name another")
        assert err.splitlines()[-1].endswith("dp: port 'wan' does not exist: name another"), err
        assert not os.path.exists(gw.socket_path)


def case_dataplane_crashes_at_start():
    with new_gateway() as gw:
        gw.set_mode("crash")
        expect_failure(gw, 1, "the dp process was killed by signal 6")


def case_port_in_use():
    with new_gateway() as gw:
        for port in (500, 4500):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.0.0.1", port))
                expect_failure(gw, 1, "UDP port %d is in use" % port, "stop the other IKE daemon")


def case_control_socket_in_use():
    with new_gateway() as gw:
        gw.start()
        pids = gw.pids()
        expect_failure(gw, 1, "another twinbored runs with the control socket " + gw.socket_path)
        assert gw.pids() == pids
        assert gw.stop() == 0


def case_control_socket_is_a_file():
    with new_gateway() as gw:
        with open(gw.socket_path, "w", encoding="ascii") as f:
            f.write("precious")
        expect_failure(gw, 1, "exists and is no socket")
        with open(gw.socket_path, encoding="ascii") as f:
            assert f.read() == "precious"


def case_unknown_group():
    with new_gateway() as gw:
        gw.write_config(gw.config().replace("  user:", "  control_group: no-such-group\n  user:"))
        expect_failure(gw, 1, "group 'no-such-group' does not exist", "groupadd")


# -------------------------------------------------------------- life cycle


def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def case_privileges():
    uid, gid = account_ids()
    with new_gateway() as gw:
        gw.start()
        mode = os.stat(gw.socket_path)
        assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o660
        for role, pid in gw.pids().items():
            if role not in ROLES:
                continue
            s = status_of(pid)
            assert s["Uid"].split() == [str(uid)] * 4, (role, s)
            assert s["Gid"].split() == [str(gid)] * 4, (role, s)
            assert s["Groups"].strip() == "", (role, s)
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(s[name], 16) == 0, (role, name, s)
            assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", (role, s)
            assert os.readlink("/proc/%d/root" % pid) == "/run/twinbore/empty", role
            assert os.listdir("/proc/%d/root" % pid) == [], role
            with open("/proc/%d/limits" % pid, encoding="ascii") as f:
                core = [line for line in f if line.startswith("Max core file size")][0]
            assert core.split()[4:6] == ["0", "0"], core
            # No file is left open but channels, sockets, rings and the log.
            for fd in os.listdir("/proc/%d/fd" % pid):
                target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
                allowed = (target.startswith(("socket:", "anon_inode:", "/memfd:twinbore-")) or
                           (fd == "0" and target == "/dev/null") or fd in ("1", "2"))
                assert allowed, (role, fd, target)
        dp = status_of(gw.pids()["dp"])
        # Not everything that root can: no module, no time, no reboot, no raw key rings.
        for bit in (16, 22, 25):
            assert not int(dp["CapBnd"], 16) >> bit & 1, dp
        assert int(dp["CapEff"], 16) >> 12 & 1, dp
        assert gw.stop() == 0


def nice_of(gw):
    return {role: os.getpriority(os.PRIO_PROCESS, pid) for role, pid in gw.pids().items()}


def case_nice():
    """Before other programs, the control process not; in a session of its own, the session too."""
    for begin, more, want in ((["setsid"], [], -10), ([], [], -10), (["nice", "-n", "3"], [], 3),
                              (["setsid", "nice", "-n", "3"], ["--nice", "-4"], -4), ([], ["--nice", "0"], 0)):
        with new_gateway() as gw:
            gw.more = more
            gw.command = lambda words=begin + gw.command(): words
            gw.start()
            nice = nice_of(gw)
            assert nice.pop("control") == max(want, 0), nice
            assert set(nice.values()) == {want} and len(nice) >= 4, (begin, more, nice)
            if "setsid" in begin and os.path.exists("/proc/self/autogroup"):
                with open("/proc/%d/autogroup" % gw.process.pid, encoding="ascii") as f:
                    assert f.read().endswith("nice %d\n" % want)
            assert gw.stop() == 0


def case_secrets_do_not_show():
    with new_gateway() as gw:
        gw.write_psk("canary-canary-canary-0123")
        gw.start()
        for pid in list(gw.pids().values()) + [gw.process.pid]:
            for name in ("cmdline", "environ"):
                with open("/proc/%d/%s" % (pid, name), "rb") as f:
                    assert b"canary-canary" not in f.read()
        assert gw.stop() == 0
        assert "canary-canary" not in gw.log()


def case_readiness():
    with new_gateway() as gw:
        path = os.path.join(gw.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(60)
            gw.start(NOTIFY_SOCKET=path)
            seen = s.recv(4096).decode()
            while "READY=1" not in seen:
                seen += s.recv(4096).decode()
            assert seen.index("STATUS=starting") < seen.index("READY=1")
            gw.process.send_signal(signal.SIGHUP)
            seen = s.recv(4096).decode()
            assert "RELOADING=1" in seen and "MONOTONIC_USEC=" in seen, seen
            seen = s.recv(4096).decode()
            assert "READY=1" in seen, seen
            assert gw.stop() == 0
            assert "STOPPING=1" in s.recv(4096).decode()


def case_stop_in_order():
    with new_gateway() as gw:
        gw.start()
        pids = gw.pids()
        assert gw.stop() == 0
        assert "killed" not in gw.log()
        assert not any(alive(pid) for pid in pids.values())
        assert not os.path.exists(gw.socket_path)
        assert gw.dp_log()[-1] == "stop"
        # And again at once in the same place.
        gw.start()
        assert gw.stop() == 0


def case_deaf_dataplane_is_killed():
    with new_gateway() as gw:
        gw.start()
        gw.set_mode("deaf")
        dp = gw.pids()["dp"]
        # fake_dp looks at its mode when something wakes it.
        gw.ask("reload")
        assert gw.stop(20) == 0
        assert "the dp process does not stop in time: killed" in gw.log()
        assert not alive(dp)


def case_no_orphans():
    with new_gateway() as gw:
        gw.start()
        pids = gw.pids()
        gw.process.kill()
        gw.process.wait()
        gw.process = None
        wait_for("the children's end", lambda: not any(alive(p) for p in pids.values()), 5)


def case_crashes():
    """Each child in turn: it comes back, the others stay, and the gateway answers."""
    with new_gateway() as gw:
        gw.start()
        before = gw.pids()
        for n, role in enumerate(ROLES + ("dp",)):
            os.kill(before[role], signal.SIGKILL)

            def again(role=role):
                try:
                    pids = gw.pids()
                except (AskError, OSError, ValueError):
                    return None
                return pids if pids.get(role, before[role]) != before[role] else None
            after = wait_for("a new " + role, again)
            for other, pid in before.items():
                assert other == role or after.get(other) == pid, (role, other)
            # The others were given new ends: questions reach all of them.
            wait_for("routes after " + role, lambda: gw.ask("show.routes")["routes"][0]["installed"])
            assert gw.ask("show.tunnels")["tunnels"][0]["name"] == "t1"
            before = after
            restarts = {p["role"]: p["restarts"] for p in gw.ask("status")["processes"]}
            assert sum(restarts.values()) == n + 1, restarts
        assert gw.stop() == 0


def case_dataplane_is_told_all_again():
    with new_gateway() as gw:
        gw.start()
        wait_for("the first plan", lambda: any("route-set" in x for x in gw.dp_log()))
        os.kill(gw.pids()["dp"], signal.SIGKILL)
        wait_for("a second start", lambda: gw.dp_log().count("start") == 2)
        wait_for("the second plan",
                 lambda: sum(x.startswith("route-set 10.2.0.0/24") for x in gw.dp_log()) == 2)
        second = gw.dp_log()[gw.dp_log().index("start", gw.dp_log().index("start") + 1):]
        for line in ("sa-flush", "tunnel-set 0 t1", "group-set 0:", "route-set 10.2.0.0/24"):
            assert line in second, (line, second)
        assert gw.stop() == 0


def case_crash_loop():
    """A dataplane that dies at once, again and again: slower and slower, nobody else suffers."""
    with new_gateway() as gw:
        gw.start()
        before = gw.pids()
        gw.set_mode("crash")
        os.kill(before["dp"], signal.SIGKILL)
        wait_for("four crashes", lambda: gw.log().count("dp was killed by signal 6") >= 3, 20)
        state = gw.ask("status")
        assert state["state"] == "degraded", state
        for role in ROLES:
            assert gw.pids()[role] == before[role], role
        assert "it is started again in 100 ms" in gw.log()
        assert "it is started again in 800 ms" in gw.log()
        gw.set_mode("")
        wait_for("the dataplane", lambda: "dp" in gw.pids(), 20)
        wait_for("routes", lambda: gw.ask("show.routes")["routes"][0]["installed"])
        assert gw.stop() == 0


def case_refusing_dataplane():
    with new_gateway() as gw:
        gw.set_mode("refuse")
        gw.start()
        wait_for("a word about it", lambda: "the dataplane refused" in gw.log())
        assert not gw.ask("show.routes")["routes"][0]["installed"]
        gw.set_mode("")
        wait_for("the retry", lambda: gw.ask("show.routes")["routes"][0]["installed"], 20)
        assert gw.stop() == 0


# ------------------------------------------------------------------- reload


def refused(gw):
    try:
        gw.ask("reload")
    except AskError as e:
        return e.message
    raise AssertionError("the reload was accepted")


T2 = """      - name: t2
        local_address: 192.0.2.1
        remote_address: 192.0.2.3
        psk_file: %s
        startup: add
"""


def case_reload():
    with new_gateway() as gw:
        gw.start()
        pids = gw.pids()
        assert gw.ask("reload") == {"version": 1, "changed": [], "unchanged": 1}

        gw.write_config(gw.config(extra=T2 % gw.psk_path))
        assert gw.ask("reload") == {"version": 1, "changed": ["t2"], "unchanged": 1}
        assert [t["name"] for t in gw.ask("show.tunnels")["tunnels"]] == ["t1", "t2"]
        wait_for("the second tunnel", lambda: "tunnel-set 1 t2" in gw.dp_log())

        gw.write_config(gw.config(extra=T2 % gw.psk_path, remote_network="10.3.0.0/24"))
        assert gw.ask("reload") == {"version": 1, "changed": ["c"], "unchanged": 2}
        wait_for("the routes", lambda: [r["prefix"] for r in gw.ask("show.routes")["routes"]] ==
                 ["10.3.0.0/24"])
        wait_for("the old route's end", lambda: "route-del 10.2.0.0/24" in gw.dp_log())

        gw.write_config(gw.config(dpd="11s"))
        assert sorted(gw.ask("reload")["changed"]) == ["c", "t1", "t2"]
        assert [t["name"] for t in gw.ask("show.tunnels")["tunnels"]] == ["t1"]
        wait_for("the tunnel's end", lambda: "tunnel-del 1" in gw.dp_log())
        assert gw.pids() == pids
        assert gw.stop() == 0


def case_reload_refused():
    """Every problem is told, and the configuration in force stays."""
    with new_gateway() as gw:
        gw.start()
        good = gw.config()
        gw.write_config(good.replace("local_networks", "local_netwrks"))
        message = refused(gw)
        assert "'local_netwrks'" in message and gw.config_path + ":" in message, message
        gw.write_config(gw.config(user="daemon").replace("memory: 256", "memory: 512"))
        message = refused(gw)
        assert "gateway.user cannot change" in message, message
        assert "dataplane.memory cannot change" in message, message
        gw.write_config(good)
        gw.write_psk("a pre-shared key for tests", 0o644)
        assert "open to other users" in refused(gw)
        gw.write_psk("tab\tin the key")
        assert "printable ASCII" in refused(gw)
        os.unlink(gw.config_path)
        assert "No such file" in refused(gw)
        gw.write_config(good)
        gw.write_psk("a pre-shared key for tests")
        assert gw.ask("reload")["unchanged"] == 1
        # By signal the same, with the reasons in the log.
        gw.write_config("nonsense: [")
        gw.process.send_signal(signal.SIGHUP)
        wait_for("the refusal", lambda: "the earlier one stays in force" in gw.log())
        assert gw.ask("show.tunnels")["tunnels"][0]["name"] == "t1"
        assert gw.stop() == 0


def main():
    global PROGRAM, FAKE_DP
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    if "TWINBORE_OWN_NETNS" not in os.environ:
        os.environ["TWINBORE_OWN_NETNS"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable] + sys.argv)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    PROGRAM, FAKE_DP = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    wanted = sys.argv[3:]
    cases = {name[5:]: f for name, f in globals().items() if name.startswith("case_")}
    for name, case in cases.items():
        if wanted and name not in wanted:
            continue
        begun = time.monotonic()
        case()
        print("ok %s (%.1f s)" % (name, time.monotonic() - begun), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
