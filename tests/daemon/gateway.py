# SPDX-License-Identifier: Apache-2.0
"""A twinbored with fake_dp as its dataplane, for the tests of this folder."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ACCOUNT = "nobody"
ROLES = ("keyd", "ike", "route", "control")


PATIENCE = 5  # how much longer than usual things may take: the machine may be busy, or stand still for seconds


def wait_for(what, condition, seconds=10.0):
    """Polls until condition() is true and returns its value; fails with `what` after a time, which is for a
    machine that is not busy."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.02)


class Gateway:
    """Files of one gateway in a folder of its own, and its process."""

    def __init__(self, program, fake_dp, name="gw", netns=None):
        self.program, self.fake_dp, self.name, self.netns = program, fake_dp, name, netns
        # In /tmp with a pid: if this is killed, tools/test knows it for a leftover (lab.world).
        self.folder = tempfile.mkdtemp(prefix="twinbore-daemon-", dir="/tmp")
        with open(os.path.join(self.folder, "pid"), "w", encoding="ascii") as f:
            f.write("%d\n" % os.getpid())
        # The unprivileged processes never look in here; clients of the socket do.
        os.chmod(self.folder, 0o755)
        self.config_path = os.path.join(self.folder, name + ".yaml")
        self.socket_path = os.path.join(self.folder, "control.sock")
        self.psk_path = os.path.join(self.folder, "psk")
        self.log_path = os.path.join(self.folder, "log")
        self.dp_log_path = os.path.join(self.folder, "dp.log")
        self.mode_path = os.path.join(self.folder, "mode")
        self.process = None
        self.more = []
        self.write_psk("a pre-shared key for tests")
        self.write_config(self.config())

    # ------------------------------------------------------------- files

    def config(self, **changes):
        """A configuration's text; `changes` replace parts of it."""
        parts = {
            "user": ACCOUNT,
            "local": "192.0.2.1",
            "remote": "192.0.2.2",
            "startup": "add",
            "local_network": "10.1.0.0/24",
            "remote_network": "10.2.0.0/24",
            "dpd": "10s",
            "extra": "",
            "level": "debug",
        }
        parts.update(changes)
        return """version: 1
gateway:
  name: %(name)s
  user: %(user)s
  control_socket: %(socket)s
  state_directory: %(folder)s/state
  log: {level: %(level)s, format: text}
dataplane: {workers: 1, hugepages: off, memory: 256}
ports:
  - name: wan
    device: {vdev: "net_null0"}
    addresses: [%(local)s/24]
connections:
  - name: c
    local_networks: [%(local_network)s]
    remote_networks: [%(remote_network)s]
    tunnels:
      - name: t1
        local_address: %(local)s
        remote_address: %(remote)s
        psk_file: %(psk)s
        startup: %(startup)s
        dpd: {interval: %(dpd)s, timeout: 60s, action: restart}
%(extra)s""" % dict(parts, name=self.name, socket=self.socket_path, psk=self.psk_path,
                     folder=self.folder)

    def write_config(self, text):
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(text)

    def write_psk(self, text, mode=0o600):
        if os.path.exists(self.psk_path):
            os.unlink(self.psk_path)
        fd = os.open(self.psk_path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(fd, text.encode() + b"\n")
        os.close(fd)
        os.chmod(self.psk_path, mode)

    def set_mode(self, word):
        if word:
            with open(self.mode_path, "w", encoding="ascii") as f:
                f.write(word)
        elif os.path.exists(self.mode_path):
            os.unlink(self.mode_path)

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def dp_log(self):
        if not os.path.exists(self.dp_log_path):
            return []
        with open(self.dp_log_path, encoding="utf-8") as f:
            return f.read().splitlines()

    # ----------------------------------------------------------- process

    def command(self):
        words = ["ip", "netns", "exec", self.netns] if self.netns else []
        return words + [self.program, "--config", self.config_path, "--dataplane", self.fake_dp] + self.more

    def environment(self, **more):
        return dict(os.environ, FAKE_DP_LOG=self.dp_log_path, FAKE_DP_MODE=self.mode_path, **more)

    def run(self, seconds=20):
        """Runs to its end, which must come by itself; (exit status, standard error)."""
        done = subprocess.run(self.command(), env=self.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds * PATIENCE,
                              check=False)
        return done.returncode, done.stderr.decode()

    def start(self, wait=True, **environment):
        with open(self.log_path, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(self.command(), env=self.environment(**environment),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            wait_for("all processes of " + self.name,
                     lambda: "all processes run" in self.log()[begin:] or
                     self.process.poll() is not None)
            assert self.process.poll() is None, self.log()

    def stop(self, seconds=15):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds * PATIENCE)
        self.process = None
        return status

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind and os.path.exists(self.log_path):
            print("--- log of " + self.name)
            print(self.log())
        self.close()

    # ----------------------------------------------------------- control

    def ask(self, method, **params):
        """One request on the control socket: the result, or AskError. What only looks is asked once more when
        a process had no time for an answer, or has just ended."""
        end = time.monotonic() + 10 * PATIENCE
        while True:
            try:
                return self.ask_once(method, **params)
            except AskError as e:
                if e.code != "unavailable" or not method.startswith("show.") or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def ask_once(self, method, **params):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(40)
            s.connect(self.socket_path)
            request = {"id": 1, "method": method, "params": params}
            s.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(s.makefile("rb").readline())
        if "error" in answer:
            raise AskError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def pids(self):
        """role: pid of the running processes."""
        found = self.ask("status")["processes"]
        return {p["role"]: p["pid"] for p in found if p["state"] == "running"}


class AskError(Exception):
    """An error that the gateway answered."""

    def __init__(self, code, message):
        super().__init__(code + ": " + message)
        self.code, self.message = code, message


def account_ids():
    entry = pwd.getpwnam(ACCOUNT)
    return entry.pw_uid, entry.pw_gid


def alive(pid):
    """False also for a zombie."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
