# SPDX-License-Identifier: Apache-2.0
"""The control process with everything around it played by Python.

Gateway starts the process, hands over a configuration, a listening socket, counters and sockets to
the processes that it asks; Peer is one of those: it answers queries as a test says.
"""

import array
import fcntl
import json
import os
import re
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HEADER = struct.Struct("=IHHIIQ")
F_ADD_SEALS = 1033
SEALS = 0x1 | 0x2 | 0x4  # SEAL, SHRINK, GROW


def enumeration(name):
    """The values of an enum of ipc.h, by name."""
    with open(os.path.join(ROOT, "include/twinbore/ipc.h"), encoding="utf-8") as f:
        text = f.read()
    body = re.search(r"enum %s \{(.*?)\};" % name, text, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    values, n = {}, 0
    for item in body.split(","):
        item = item.strip()
        if not item:
            continue
        if "=" in item:
            item, value = (part.strip() for part in item.split("="))
            n = int(eval(value))  # "1 << 0"
        values[item] = n
        n += 1
    return values


def constant(name):
    with open(os.path.join(ROOT, "include/twinbore/ipc.h"), encoding="utf-8") as f:
        return int(re.search(r"#define %s +(0x[0-9a-f]+|\d+)u?" % name, f.read()).group(1), 0)


TYPE = enumeration("ipc_type")
ROLE = enumeration("ipc_role")
OP = enumeration("ipc_query_op")
OP_NAME = {value: name for name, value in OP.items()}
KIND = enumeration("ipc_socket_kind")
MAGIC = constant("IPC_MAGIC")
BODY_MAX = constant("IPC_BODY_MAX")


def pack(kind, body=b"", ident=0, flags=0):
    return HEADER.pack(MAGIC, TYPE[kind], flags, len(body), 0, ident) + body


def send(sock, kind, body=b"", fds=(), ident=0, flags=0):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([pack(kind, body, ident, flags)], rights)


def memfd(data, name="test"):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, len(data))
    os.pwrite(fd, data, 0)
    fcntl.fcntl(fd, F_ADD_SEALS, SEALS)
    return fd


class Peer:
    """ike, route or supervisor: answers[op] is a JSON value, an exception's text, or a function."""

    def __init__(self, role):
        self.role = role
        self.answers = {}
        self.asked = []
        self.sock, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                packet = self.sock.recv(70000)
            except OSError:
                return
            if not packet:
                return
            ident = HEADER.unpack_from(packet)[5]
            op, size = struct.unpack_from("=II", packet, HEADER.size)
            arg = packet[HEADER.size + 8:HEADER.size + 8 + size].decode()
            name = OP_NAME[op].replace("IPC_QUERY_", "").lower()
            self.asked.append((name, arg))
            answer = self.answers.get(name)
            if callable(answer):
                answer = answer(ident, arg)
            if answer is not None:
                self.reply(ident, answer)

    def reply(self, ident, value, ok=True, part=BODY_MAX - 8):
        if isinstance(value, Refused):
            value, ok = {"code": value.code, "message": value.message}, False
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        while True:
            head, text = text[:part], text[part:]
            try:
                send(self.sock, "IPC_REPLY", struct.pack("=II", ok, 0) + head, ident=ident,
                     flags=1 if text else 0)
            except OSError:
                return
            if not text:
                return

    def event(self, value):
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        send(self.sock, "IPC_EVENT", text)

    def close(self):
        """As when the process ends."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread is not threading.current_thread():
            self.thread.join()
            self.sock.close()


class Refused:
    def __init__(self, code, message):
        self.code, self.message = code, message


class Client:
    """One connection to the control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.buffer = b""

    def send(self, *values):
        self.sock.sendall(b"".join(json.dumps(v).encode() + b"\n" for v in values))

    def raw(self, data):
        self.sock.sendall(data)

    def line(self):
        """The next line as JSON; None at the end."""
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def call(self, method, **params):
        self.send({"id": 7, "method": method, "params": params})
        return self.line()

    def result(self, method, **params):
        answer = self.call(method, **params)
        assert "result" in answer, answer
        assert answer["result"].pop("version") == 1
        return answer["result"]

    def error(self, method, **params):
        answer = self.call(method, **params)
        assert "error" in answer, answer
        return answer["error"]

    def quiet(self, seconds=0.2):
        """Nothing comes."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        self.sock.close()


CONFIG = """version: 1
gateway: {name: gw}
routing: {tables: [{name: blue}]}
ports: [{name: wan, device: {vdev: net_null}, addresses: [192.0.2.1/24]}]
connections:
  - name: one
    local_networks: [10.1.0.0/24]
    remote_networks: [10.2.0.0/24, 10.3.0.0/24]
    defaults: {psk_file: /psk, startup: add}
    tunnels:
      - {name: one-1, local_address: 192.0.2.1, remote_address: 198.51.100.1, interface: in1,
         inside_addresses: [169.254.1.2/30, "fd00::2/126"]}
      - {name: one-2, local_address: 192.0.2.1, remote_address: 198.51.100.2}
  - name: two
    local_networks: [10.1.0.0/24]
    remote_networks: [10.9.0.0/24]
    tunnels:
      - {name: two-1, local_address: 192.0.2.1, remote_id: far, psk_file: /psk2}
"""


def process(role, state="running"):
    return {"role": role, "pid": 100, "state": state, "restarts": 0, "uptime_s": 12.5}


class Gateway:
    def __init__(self, harness, stats=True, peers=("IKE", "ROUTE", "SUPERVISOR")):
        self.harness = harness
        self.folder = tempfile.TemporaryDirectory(prefix="twinbore-control-")
        self.path = os.path.join(self.folder.name, "control.sock")
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(60)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [harness], pass_fds=(3,), stderr=self.log,
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.listener.bind(self.path)
        self.listener.listen(128)
        self.peers = {}
        self.configure(CONFIG)
        self.socket()
        if stats:
            self.stats(self.image())
        for role in peers:
            self.attach(Peer(role))
        self.good_answers()
        send(self.channel, "IPC_START")
        self.expect("IPC_READY")

    def expect(self, kind):
        packet = self.channel.recv(70000)
        got = HEADER.unpack_from(packet)[1] if packet else 0
        assert got == TYPE[kind], (got, kind, packet)
        return packet[HEADER.size:]

    def configure(self, text, generation=1):
        text = text.encode()
        names = re.findall(rb"{name: ([a-z]+-\d+),", text)
        tables = re.findall(rb"{name: (blue)}", text)
        body = struct.pack("=QQII", len(text), generation, len(names), len(tables))
        for i, name in enumerate(names):
            body += struct.pack("=32sI", name, i)
        for i, name in enumerate(tables):
            body += struct.pack("=32sI", name, i + 1)
        fd = memfd(text)
        send(self.channel, "IPC_CONFIG", body, [fd])
        os.close(fd)

    def socket(self):
        send(self.channel, "IPC_SOCKET", struct.pack("=IIII", KIND["IPC_SOCKET_CONTROL"], 0, 0, 0),
             [self.listener.fileno()])

    def drained(self, tunnel):
        send(self.channel, "IPC_DRAINED", tunnel.encode().ljust(32, b"\0"))

    def image(self):
        return subprocess.run([self.harness, "--stats"], stdout=subprocess.PIPE, check=True).stdout

    def stats(self, image, size=None):
        fd = memfd(image)
        send(self.channel, "IPC_STATS", struct.pack("=Q", len(image) if size is None else size),
             [fd])
        os.close(fd)

    def attach(self, peer):
        self.peers[peer.role] = peer
        send(self.channel, "IPC_PEER", struct.pack("=I", ROLE["IPC_ROLE_" + peer.role]),
             [peer.theirs.fileno()])
        peer.theirs.close()
        return peer

    def good_answers(self):
        tunnel = {"phase": "up", "up": True, "reason": "", "since_s": 5.5, "natt": False,
                  "local": "192.0.2.1:500", "remote": "198.51.100.1:500"}
        if "IKE" in self.peers:
            self.peers["IKE"].answers = {
                "tunnels": [dict(tunnel, name="one-1"), dict(tunnel, name="one-2"),
                            dict(tunnel, name="two-1")],
                "sas": [{"kind": "ike", "tunnel": "one-1", "state": "established"},
                        {"kind": "child", "tunnel": "one-1", "slot": 5, "state": "installed"},
                        {"kind": "child", "tunnel": "one-1", "slot": 4000000}],
                "ike_counters": {"rx-messages": 3},
                "up": {}, "down": {}, "rekey": {}, "redirect": {},
            }
        if "ROUTE" in self.peers:
            self.peers["ROUTE"].answers = {
                "routes": {"routes": [
                    {"prefix": "10.2.0.0/24", "connection": "one", "source": "static",
                     "table": "main", "tunnel": "one-2", "installed": True}], "next": None},
                "route_state": {"connections": [{"name": "one", "tunnel": "one-2"},
                                                {"name": "two", "tunnel": "two-1"}],
                                "tunnels": [{"name": "one-1", "usable": True, "draining": False,
                                             "bfd_down": False, "bgp_up": True, "accepted": 5,
                                             "stale": 0, "refused": 1}],
                                "prefixes": 3, "candidates": 5, "groups": 1, "waiting": 2, "refused": 0},
                "drain": {"moved": 3, "stays": 0}, "undrain": {},
                "what_if": {"tunnel": "one-1", "usable": True, "moved": 3, "lost": 0,
                            "moves": [{"to": "one-2", "prefixes": 3}]},
                "route_explain": {"tables": []},
            }
        if "SUPERVISOR" in self.peers:
            self.peers["SUPERVISOR"].answers = {
                "processes": [process("supervisor"), process("ike")],
                "reload": {"changed": ["one-1"], "unchanged": 2},
                "keep_drained": {}, "forget_drained": {},
            }

    def client(self):
        return Client(self.path)

    def text_of_log(self):
        self.log.seek(0)
        return self.log.read().decode()

    def stop(self):
        """The exit status after an orderly stop."""
        if self.process.poll() is None:
            send(self.channel, "IPC_STOP")
        return self.wait()

    def wait(self):
        status = self.process.wait(timeout=60)
        self.close()
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for peer in self.peers.values():
            peer.close()
        self.listener.close()
        self.channel.close()
        self.log.close()
        self.folder.cleanup()


def until(condition, seconds=60):
    """Waits for a condition; returns what it was at last."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return value
