# SPDX-License-Identifier: Apache-2.0
"""dplab: a twinbore-dp between two wires, and this program at the other end of everything.

The tests run in namespaces of their own that vanish with them (`main()` enters them): the gateway's
ports are in namespace "gw", the other ends of the two veth pairs are raw sockets here. Rings,
supervisor and counters are played by dp_harness. ESP is made and checked by scapy.

A machine may stand still for a second at any moment, in any process. So that something did not happen
is told by counts (Site.through()), and never by the clock alone; what is to happen has PATIENCE times as
long as it takes.
"""

import ctypes
import ipaddress
import json
import os
import queue
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

MAC_LAN = "02:00:00:00:01:02"
MAC_WAN = "02:00:00:00:02:02"

PATIENCE = 10  # on a busy machine
ETH_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
SLOT_BITS = 20
NONE = 0xFFFFFFFF

# dp_msg.h
SA_ADD_IN, SA_ADD_OUT, SA_SWITCH, SA_DEL_IN, SA_DEL_OUT, SA_PEER, SA_FLUSH = range(1, 8)
TUNNEL_SET, TUNNEL_DEL, GROUP_SET, GROUP_DEL, ROUTE_SET, ROUTE_DEL = range(8, 14)
SA_LIST, ROUTES, SWEEP = 14, 15, 16
BLACKHOLE, WITHDRAW, PORTS = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
EV_ACK, EV_FIRST_IN, EV_SOFT, EV_HARD, EV_MOVED, EV_SPI, EV_LINK, EV_SA = range(64, 72)
(OK, E_MALFORMED, E_NO_SUCH, E_EXISTS, E_UNSUPPORTED, E_RESOURCES, E_SYSTEM) = range(7)
UDP_ENCAP, ESN, COPY_DSCP, DF_CLEAR, DF_SET, PORT_ENTROPY = 1, 2, 4, 8, 16, 32
GCM_8, GCM_12, GCM, GMAC, CHACHA, CBC = 18, 19, 20, 21, 28, 12
SHA1, SHA256, SHA384, SHA512 = 2, 12, 13, 14


def sh(*argv, check=True, ns=None):
    argv = (["ip", "netns", "exec", ns] if ns else []) + [str(a) for a in argv]
    return subprocess.run(argv, check=check, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout


def main():
    """Runs the tests of the calling module in fresh namespaces (network, mount, processes)."""
    if os.environ.get("DPLAB") != "1":
        os.environ["DPLAB"] = "1"
        # In a build with sanitizers: what DPDK's libraries forget is not our leak.
        here = os.path.dirname(os.path.abspath(__file__))
        os.environ.setdefault("LSAN_OPTIONS", f"suppressions={here}/lsan.supp:print_suppressions=0")
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
                              "--mount-proc", sys.executable] + sys.argv)
    sh("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.makedirs("/run/netns")
    sh("ip", "link", "set", "lo", "up")
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[3:], warnings="ignore")


def programs():
    """twinbore-dp and dp_harness, as Meson passes them."""
    return os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])


# ---- messages ------------------------------------------------------------------------------------

def addr(a):
    if a is None:
        return bytes(20)
    ip = ipaddress.ip_address(a)
    return struct.pack("B16s3x", ip.version, ip.packed)


def endpoint(a, port=0):
    return addr(a) + struct.pack("<HH", port, 0)


def ts(local, remote, ports=((0, 65535), (0, 65535)), protocol=0):
    out = b""
    for net in (ipaddress.ip_network(local), ipaddress.ip_network(remote)):
        out += addr(net[0]) + addr(net[-1])
    return out + struct.pack("<HHHHB7x", *ports[0], *ports[1], protocol)


def msg(kind, body=b"", seq=0):
    return struct.pack("<II8x", kind, seq) + body


def sa(slot, spi, tunnel, local, remote, flags=0, encr=GCM, bits=256, integ=0, window=1024,
       key=bytes(range(36)), ikey=b"", selectors=(("10.1.0.0/24", "10.2.0.0/24"),), limits=(0,) * 4,
       first_seq=1, ports=(0, 0), n_ts=None, resource=0, zero=0):
    body = struct.pack("<IIIIHHHH36s64sIII", slot, spi, tunnel, flags, encr, bits, integ, window, key,
                       ikey, len(selectors) if n_ts is None else n_ts, resource, zero)
    body += endpoint(local, ports[0]) + endpoint(remote, ports[1])
    body += bytes(-len(body) % 8)
    body += struct.pack("<5Q", *limits, first_seq)
    for s in selectors:
        body += ts(*s)
    return body


def ref(slot, tunnel=0, resource=0, zero=0):
    return struct.pack("<IIII", slot, tunnel, resource, zero)


def peer(slot, flags, local, remote, ports=(0, 0)):
    return struct.pack("<II", slot, flags) + endpoint(local, ports[0]) + endpoint(remote, ports[1])


def translation(here, there, ours=False, zero=0):
    here, there = ipaddress.ip_network(here), ipaddress.ip_network(there)
    return addr(str(here[0])) + addr(str(there[0])) + struct.pack("<BBH", here.prefixlen, ours, zero)


def tunnel(index, name, ifname="", inside=(), mtu=0, table=0, translate=(), n_translate=None):
    inside = [ipaddress.ip_interface(i) for i in inside]
    lens = [i.network.prefixlen for i in inside] + [0] * (2 - len(inside))
    addrs = [addr(str(i.ip)) for i in inside] + [bytes(20)] * (2 - len(inside))
    return struct.pack("<II32s16s", index, mtu, name.encode(), ifname.encode()) + b"".join(addrs) + \
        struct.pack("<BBHI", *lens, table, len(translate) if n_translate is None else n_translate) + \
        b"".join(translate)


def group(index, *tunnels, ecmp=0):
    return struct.pack("<II8I", index, len(tunnels), *(tunnels + (0,) * (8 - len(tunnels)))) + struct.pack("<I", ecmp)


def route(prefix, group_index, table=0):
    net = ipaddress.ip_network(prefix)
    return struct.pack("<II", table, group_index) + addr(str(net[0])) + \
        struct.pack("<B3x", net.prefixlen)


def routes(*entries, n=None, zero=0):
    """(prefix, group[, table]) each."""
    body = struct.pack("<II", len(entries) if n is None else n, zero)
    for prefix, group_index, *table in entries:
        net = ipaddress.ip_network(prefix)
        body += addr(str(net[0])) + struct.pack("<IHBx", group_index, *(table or (0,)), net.prefixlen)
    return body


def parse_event(hexed):
    b = bytes.fromhex(hexed)
    kind = struct.unpack_from("<I", b)[0]
    if kind == EV_ACK:
        return {"type": kind, "seq": struct.unpack_from("<I", b, 8)[0],
                "status": struct.unpack_from("<I", b, 12)[0],
                "refused": int.from_bytes(b[16:36], "little")}
    if kind == EV_LINK:
        return {"type": kind, "port": struct.unpack_from("<I", b, 8)[0],
                "up": struct.unpack_from("<I", b, 12)[0]}
    if kind == EV_SA:
        return dict(zip(("type", "seq", "slot", "tunnel", "flags", "spi_in", "spi_out"),
                        (kind,) + struct.unpack_from("<IIIIII", b, 8)))

    def ep(at):
        n = {4: 4, 6: 16}.get(b[at], 0)
        ip = str(ipaddress.ip_address(b[at + 1:at + 1 + n])) if n else None
        return ip, struct.unpack_from("<H", b, at + 20)[0]
    slot, spi, tun, out = struct.unpack_from("<IIII", b, 8)
    return {"type": kind, "slot": slot, "spi": spi, "tunnel": tun, "outbound": out,
            "local": ep(24), "remote": ep(48)}


# ---- the dataplane -------------------------------------------------------------------------------

class Dataplane:
    """A twinbore-dp with its harness, in namespace `ns`."""

    def __init__(self, config, ns="gw", env=None):
        dp, harness = programs()
        self.file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.file.write(config)
        self.file.flush()
        self.log = tempfile.NamedTemporaryFile("r+", suffix=".log")
        self.proc = subprocess.Popen(["ip", "netns", "exec", ns, harness, dp, self.file.name],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=self.log, text=True, bufsize=1,
                                     env=dict(os.environ, **(env or {})))
        self.lines = queue.Queue()
        self.events = []
        self.acks = {"sa": {}, "fib": {}}
        self.refused = 0  # entries, a bit each, of the last acknowledgement
        self.seq = 0
        self.exit = None
        self.fatal = None
        self.is_ready = False
        self.last_stats = None
        self.through = lambda: True  # a Site knows better
        self.reloaded = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.proc.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def _take(self, timeout):
        """Handles one line, if there is one within the time."""
        try:
            o = self.lines.get(timeout=max(timeout, 0))
        except queue.Empty:
            return
        if o is None:
            raise AssertionError("the harness ended: " + self.output())
        if "event" in o:
            ev = parse_event(o["hex"])
            if ev["type"] == EV_ACK:
                self.acks[o["event"]][ev["seq"]] = ev["status"]
                self.refused = ev["refused"]
            else:
                self.events.append(ev)
        elif "stats" in o:
            self.last_stats = o["stats"]
        elif o.get("ipc") == "ready":
            self.is_ready = True
        elif o.get("ipc") == "fatal":
            self.fatal = o["text"]
        elif o.get("ipc") == "reloaded":
            self.reloaded.append(o["text"])
        elif "exit" in o:
            self.exit = o["exit"]

    def until(self, what, cond, timeout=5.0):
        timeout *= PATIENCE
        end = time.monotonic() + timeout
        while not cond():
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout:g} s: {what}\n{self.output()}")
            self._take(min(0.05, end - time.monotonic()))

    def ready(self, timeout=20.0):
        self.until("ready", lambda: self.is_ready or self.fatal is not None, timeout)
        if self.fatal is not None:
            raise AssertionError("fatal: " + self.fatal)
        return self

    def ended(self, timeout=15.0):
        self.until("the end", lambda: self.exit is not None, timeout)
        return self.exit

    def command(self, text):
        self.proc.stdin.write(text + "\n")

    def push(self, ring, kind, body=b""):
        self.seq += 1
        self.command(f"push {ring} {msg(kind, body, self.seq).hex()}")
        return self.seq

    def do(self, ring, kind, body=b"", want=OK):
        """Pushes, waits for the acknowledgement and checks its status."""
        seq = self.push(ring, kind, body)
        self.until(f"ack {seq}", lambda: seq in self.acks[ring])
        status = self.acks[ring].pop(seq)
        if status != want:
            raise AssertionError(f"message type {kind}: status {status}, not {want}\n" +
                                 self.output())

    def sa(self, kind, body=b"", want=OK):
        self.do("sa", kind, body, want)

    def fib(self, kind, body=b"", want=OK):
        self.do("fib", kind, body, want)

    def stats(self):
        self.last_stats = None
        self.command("stats")
        self.until("stats", lambda: self.last_stats is not None)
        return self.last_stats

    def settled(self):
        """Counters after two ticks without a change, when what was sent is through."""
        self.through()
        last = None
        for _ in range(50):
            time.sleep(0.12)
            s = self.stats()
            key = json.dumps([s["ports"], s["drops"], s["tunnels"]])
            if key == last:
                return s
            last = key
        raise AssertionError("the counters do not come to rest")

    def event(self, kind, timeout=3.0, **fields):
        def match(ev):
            return ev["type"] == kind and all(ev.get(k) == v for k, v in fields.items())
        self.until(f"event {kind} {fields}", lambda: any(match(e) for e in self.events), timeout)
        ev = next(e for e in self.events if match(e))
        self.events.remove(ev)
        return ev

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        if self.proc.poll() is None:
            try:
                self.proc.stdin.close()
                self.proc.wait(10)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self.proc.kill()
                self.proc.wait()
        if self.log.closed:
            return
        self.reader.join()
        while self.exit is None and not self.lines.empty():
            o = self.lines.get()
            self.exit = (o or {}).get("exit")
        output = self.output()
        self.proc.stdout.close()
        self.file.close()
        self.log.close()
        # Ours, or its own fatal end, or killed by a test; anything else is a fault.
        if self.exit not in (None, 0, 128 + 9) and not (self.exit == 1 and self.fatal):
            raise AssertionError(f"twinbore-dp ended with {self.exit}\n{output}")
        if "Sanitizer" in output or "runtime error" in output:
            raise AssertionError(output)


def read(path):
    with open(path) as f:
        return f.read()


def dp_pid():
    """The pid of the one twinbore-dp in our process namespace."""
    for p in os.listdir("/proc"):
        if p.isdigit() and read(f"/proc/{p}/comm").strip() == "twinbore-dp":
            return int(p)
    raise AssertionError("no twinbore-dp runs")


# ---- wires ---------------------------------------------------------------------------------------

class Wire:
    """The far end of a port's cable: answers ARP and ND for its addresses and queues the rest."""

    def __init__(self, ifname, mac, *addresses):
        self.ifname = ifname
        self.mac = mac
        self.raw_mac = bytes.fromhex(mac.replace(":", ""))
        self.addresses = {ipaddress.ip_address(a).packed for a in addresses}
        self.frames = queue.Queue()
        self.gw_mac = None
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.sock.bind((ifname, 0))
        self.stop = False
        self.answer = True
        self.site = None
        self.n_seen = self.counts()[0]  # frames that came and are dealt with
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.stop:
            if not select.select([self.sock], [], [], 0.2)[0]:
                continue
            try:
                frame, meta = self.sock.recvfrom(65535)
            except OSError:
                return
            if meta[2] == socket.PACKET_OUTGOING:
                continue
            if not self._neighbour(frame):
                self.frames.put(frame)
            self.n_seen += 1

    def _neighbour(self, f):
        """Answers questions for our addresses. True if the frame was ARP or ND."""
        if f[12:14] == b"\x08\x06":
            if self.answer and f[20:22] == b"\x00\x01" and f[38:42] in self.addresses:
                self.sock.send(f[6:12] + self.raw_mac + f[12:20] + b"\x00\x02" + self.raw_mac +
                               f[38:42] + f[22:28] + f[28:32])
            return True
        if f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] in (133, 134, 135, 136, 143):
            if self.answer and f[54] == 135 and f[62:78] in self.addresses and f[22:38] != bytes(16):
                from scapy.all import (Ether, IPv6, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr)
                target = str(ipaddress.ip_address(f[62:78]))
                to = str(ipaddress.ip_address(f[22:38]))
                self.sock.send(bytes(Ether(src=self.mac, dst=f[6:12]) / IPv6(src=target, dst=to) /
                                     ICMPv6ND_NA(tgt=target, R=0, S=1, O=1) /
                                     ICMPv6NDOptDstLLAddr(lladdr=self.mac)))
            return True
        return f[12:14] == b"\x86\xdd" and f[20] == 0  # MLD

    def send(self, ip):
        """Sends an IP packet (scapy or bytes) to the gateway's port."""
        b = bytes(ip)
        kind = b"\x08\x00" if b[0] >> 4 == 4 else b"\x86\xdd"
        self.sock.send(self.gw_mac + self.raw_mac + kind + b)

    def _next(self, timeout):
        try:
            return self.frames.get(timeout=timeout)
        except queue.Empty:
            return None

    def recv(self, timeout=2.0 * PATIENCE):
        """The next IP packet, as bytes; None when there is none after this time, and none on its way."""
        frame = self._next(timeout)
        if frame is None and self.site:
            self.site.through()
            frame = self._next(0)
        if frame is None:
            return None
        n = 14 + (struct.unpack("!H", frame[16:18])[0] if frame[14] >> 4 == 4 else
                  40 + struct.unpack("!H", frame[18:20])[0])
        return frame[14:n]

    def drain(self, quiet=0.3):
        out = []
        while True:
            p = self.recv(quiet)
            if p is None:
                return out
            out.append(p)

    def counts(self):
        """(frames that came, frames that went) as the kernel counts them."""
        for line in read("/proc/net/dev").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == self.ifname:
                n = numbers.split()
                return int(n[1]), int(n[9])
        raise AssertionError(f"no interface {self.ifname}")

    def lost(self):
        """Frames that we were too slow for since the last call."""
        return struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def close(self):
        self.stop = True
        self.thread.join()
        self.sock.close()


CONFIG = """version: 1
gateway: {{name: dp-test, log: {{level: {log}}}}}
dataplane: {{workers: {workers}, hugepages: off, memory: 256, aead_backend: {backend}{more}}}
ports:
  - name: wan
    device: {{vdev: "{driver},iface=w0"}}
    addresses: [192.0.2.1/24, "2001:db8:ff::1/64"]
    gateway: [192.0.2.254]
    mtu: {mtu}
  - name: lan
    device: {{vdev: "{driver},iface=l0"}}
    addresses: [10.1.0.1/24, "2001:db8:1::1/64"]
    mtu: {mtu}
connections: []
"""

PEER = "198.51.100.1"
LOCAL = "192.0.2.1"
HOST = "10.1.0.9"
REMOTE_HOST = "10.2.0.9"
HOST6 = "2001:db8:1::9"
REMOTE6 = "2001:db8:2::9"


def config(workers=1, driver=os.environ.get("DP_DRIVER", "net_af_xdp"), log="info", backend="auto", mtu=1500, more=""):
    return CONFIG.format(workers=workers, driver=driver, log=log, backend=backend, mtu=mtu,
                         more=more)


def balance(s):
    """What came in or was made, less what went out or was dropped: 0 once all is at rest."""
    came = sum(p["rx_packets"] + p["from_linux"] for p in s["ports"])
    came += sum(t["from_linux"] for t in s["tunnels"]) + sum(w["generated"] for w in s["workers"])
    went = sum(p["tx_packets"] + p["to_linux"] for p in s["ports"])
    went += sum(t["to_linux"] for t in s["tunnels"]) + sum(s["drops"].values())
    return came - went


class Site:
    """A gateway between a LAN wire and a WAN wire."""

    UNBALANCED_S = 0.5
    MOST_WAIT_S = 4.0  # for counts that never agree: what a killed dataplane had, what a kernel dropped

    def __init__(self, text=None, start=True, **kw):
        sh("ip", "netns", "add", "gw")
        for a, b in (("w0", "w1"), ("l0", "l1")):
            sh("ip", "link", "add", a, "netns", "gw", "type", "veth", "peer", "name", b)
            for ns, i in (("gw", a), (None, b)):
                sh("ethtool", "-K", i, "tx", "off", "gso", "off", "tso", "off", ns=ns, check=False)
                sh("sysctl", "-qw", f"net.ipv6.conf.{i}.disable_ipv6=1", ns=ns)
                sh("ip", "link", "set", i, "up", ns=ns)
        sh("ip", "link", "set", "lo", "up", ns="gw")
        self.lan = Wire("l1", MAC_LAN, HOST, HOST6, "10.1.0.10", "10.1.0.11")
        self.wan = Wire("w1", MAC_WAN, "192.0.2.254", "2001:db8:ff::254")
        self.dp = None
        if start:
            self.start(text or config(**kw))

    def start(self, text):
        self.dp = Dataplane(text).ready()
        self.dp.through = self.through
        for wire, name in ((self.wan, "wan"), (self.lan, "lan")):
            mac = sh("cat", f"/sys/class/net/{name}/address", ns="gw").strip()
            wire.gw_mac = bytes.fromhex(mac.replace(":", ""))
            wire.site = self

    def _taken(self, s):
        """The dataplane has taken all frames that were sent."""
        return all(w.counts()[1] <= p["rx_packets"] + p["rx_missed"]
                   for w, p in zip((self.wan, self.lan), s["ports"]))

    def _wait(self, cond):
        end = time.monotonic() + self.MOST_WAIT_S
        while not cond():
            if self.dp.exit is not None or time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def keeps_up(self):
        """Waits until the dataplane has taken what was sent: its queues hold some thousand frames."""
        return self._wait(lambda: self._taken(self.dp.stats()))

    def through(self):
        """Waits until all that was sent has come out, or is counted as something else; False if the counts
        do not agree."""
        if self.dp is None or self.dp.exit is not None:
            return True
        first = None  # when nothing was to be done any more: the time, the counts, the workers' rounds

        def done():
            nonlocal first
            s = self.dp.stats()
            now, polls = time.monotonic(), [w["polls"] for w in s["workers"][:-1]]
            counts = [s["ports"], s["drops"], s["tunnels"]]
            if not self._taken(s):
                first = None
                return False
            if first is None or first[1] != counts:
                first = now, counts, polls
            # A worker may hand over to another one, which may be held up as well; and what is looked at twice
            # is counted twice, so that the balance need not be 0.
            return (all(b - a >= 4 for a, b in zip(first[2], polls)) and
                    (balance(s) == 0 or now - first[0] > self.UNBALANCED_S) and
                    all(w.counts()[0] <= w.n_seen for w in (self.wan, self.lan)))

        return self._wait(done)

    def close(self):
        try:
            if self.dp:
                self.dp.close()
        finally:
            self.lan.close()
            self.wan.close()
            for i in ("w1", "l1"):
                sh("ip", "link", "del", i, check=False)
            sh("ip", "netns", "del", "gw")
