# SPDX-License-Identifier: Apache-2.0
"""bgp: a whole table from one neighbour, the same from a second one with other paths, then both lost:
ours with and without the FIB, BIRD and FRR, in one run on the same input. Then the first neighbour's through
an encrypted tunnel into a whole gateway (gateway_feed).

Each receiver stands in a namespace of its own, joined by a veth pair to that of the neighbours
(bench/bgp_feed.c). What cannot be had gives a row that says so."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

OURS, AS = "192.0.2.2", 65001
NEIGHBORS = [("192.0.2.1", 64999), ("192.0.2.3", 64998)]
POLL_S = 0.01
LIMIT_S = 180
WHOLE, QUICK = (1000000, 250000), (8000, 2000)  # prefixes of IPv4 and IPv6
IDLE_S = 0.3  # without CPU time: FRR has nothing left to do


class Unavailable(Exception):
    pass


def cpu_ms(pid):
    """Of all threads, to the microsecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e6


def rss_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Lines:
    """A program that is spoken to by lines and answers with JSON."""

    def __init__(self, world, ns, argv):
        self.log = open(world.dir / f"{Path(argv[0]).name}-{world.serial()}.err", "wb")
        self.popen = subprocess.Popen(["ip", "netns", "exec", ns.full, *map(str, argv)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.log, bufsize=0)
        world.at_end(self.end)
        self.buffer = b""

    def read(self, timeout=60):
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.popen.stdout], [], [], max(0, end - time.monotonic()))
            got = os.read(self.popen.stdout.fileno(), 65536) if ready else b""
            if not got:
                raise Unavailable(f"{self.popen.args[4]} says nothing: " + Path(self.log.name).read_text()[-300:])
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def wait(self, event, timeout=60):
        while True:
            got = self.read(timeout)
            if got["event"] == event:
                return got

    def tell(self, line):
        self.popen.stdin.write(line.encode() + b"\n")

    @property
    def pid(self):
        return self.popen.pid  # `ip netns exec` becomes the program

    def end(self, signum=signal.SIGKILL):
        if self.popen.poll() is None:
            self.popen.send_signal(signum)
            self.popen.wait(20)
        self.log.close()


# ---- receivers: routes() from both neighbours; done(want, since_ns) is the time of the end, or None ----

class Ours:
    name = "Twinbore, RIB alone"
    fib = False

    def __init__(self, world, ns, build):
        neighbors = [f"{a}={n}" for a, n in NEIGHBORS]
        fib = [f"--fib={build / 'bench' / 'bgp_fib'}"] if self.fib else []
        self.program = Lines(world, ns, [build / "bench" / "bgp_receive", OURS, AS, *neighbors, *fib])
        self.program.wait("ready")
        self.pid = self.program.pid
        self.said = {}
        while not self.show()["settled_ns"]:  # the FIB is ready, too
            time.sleep(0.1)

    def show(self):
        self.program.tell("show")
        got = self.program.read()
        for k in ("bgp_steps", "rt_steps", "batches", "turns"):
            self.said[k] = max(self.said.get(k, 0), got[k]["longest_us"])
        self.fib_pid = got["fib_pid"]
        return got

    def begin(self):
        self.show()
        self.said = {}

    def done(self, want, since_ns):
        got = self.show()
        if got["n_routes"] == want and got["settled_ns"] > since_ns:
            return got["settled_ns"]
        return None

    def more(self):
        return {"longest_step_us": round(max(self.said["bgp_steps"], self.said["rt_steps"], self.said["batches"]), 1),
                "longest_turn_us": round(self.said["turns"], 1)}


class OursWithFib(Ours):
    name = "Twinbore, RIB and FIB"
    fib = True

    def begin(self):
        super().begin()
        self.fib_before = cpu_ms(self.fib_pid)
        if not hasattr(self, "fib_rss"):
            self.fib_rss = rss_mb(self.fib_pid)

    def more(self):
        return {**super().more(), "fib_cpu_ms": round(cpu_ms(self.fib_pid) - self.fib_before, 1),
                "fib_rss_mb": round(rss_mb(self.fib_pid) - self.fib_rss, 1)}


BIRD = """
router id {ours};
log "{dir}/bird.log" all;
protocol device {{ }}
{peers}
"""
BIRD_PEER = """
protocol bgp n{i} {{
    local {ours} as {own}; neighbor {address} as {asn}; passive on; hold time 180; error wait time 1,2;
    ipv4 {{ import all; export none; }};
    ipv6 {{ import all; export none; }};
}}
"""


class Bird:
    name = "BIRD"

    def __init__(self, world, ns, _build):
        if not shutil.which("bird", path="/usr/sbin:/usr/bin"):
            raise Unavailable("BIRD is not installed; sudo tools/setup does it")
        self.name = "BIRD " + subprocess.run(["bird", "--version"], capture_output=True, text=True).stderr.split()[-1]
        n = world.serial()
        config, control = world.dir / f"bird{n}.conf", world.dir / f"bird{n}.ctl"
        peers = "".join(BIRD_PEER.format(i=i, ours=OURS, own=AS, address=a, asn=asn)
                        for i, (a, asn) in enumerate(NEIGHBORS))
        config.write_text(BIRD.format(dir=world.dir, ours=OURS, peers=peers))
        self.process = world.spawn(["bird", "-f", "-c", config, "-s", control], ns, "bird")
        self.pid = self.process.pid
        self.socket = socket.socket(socket.AF_UNIX)
        connect(self.socket, control)
        self.buffer = b""
        self.answer()

    def answer(self):
        """To the line with a code and a space that ends it."""
        text = b""
        while True:
            while b"\n" not in self.buffer:
                got = self.socket.recv(65536)
                if not got:
                    raise Unavailable("BIRD has ended")
                self.buffer += got
            line, self.buffer = self.buffer.split(b"\n", 1)
            text += line + b"\n"
            if re.match(rb"(?:0|8|9)\d{3} ", line):
                return text.decode()

    def begin(self):
        pass

    def done(self, want, _since_ns):
        n = 0
        for i in range(len(NEIGHBORS)):
            self.socket.sendall(f"show protocols all n{i}\n".encode())
            n += sum(int(x) for x in re.findall(r"Routes: +(\d+) imported", self.answer()))
        return time.monotonic_ns() if n == want else None

    def more(self):
        return {}

    def end(self):
        self.process.stop()


FRR = """
hostname bench
router bgp {own}
 bgp router-id {ours}
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 60 180
{peers}
 address-family ipv6 unicast
{activate}
 exit-address-family
"""


class Frr:
    name = "FRR"

    def __init__(self, world, ns, _build):
        program = Path("/usr/lib/frr/bgpd")
        if not program.exists():
            raise Unavailable("FRR is not installed: apt-get install frr")
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        self.name = "FRR " + re.search(r"version ([\d.]+)", version)[1]
        n = world.serial()
        folder = world.dir / f"frr{n}"
        folder.mkdir()
        peers = "".join(f" neighbor {a} remote-as {asn}\n neighbor {a} passive\n" for a, asn in NEIGHBORS)
        activate = "\n".join(f"  neighbor {a} activate" for a, _ in NEIGHBORS)
        (folder / "bgpd.conf").write_text(FRR.format(own=AS, ours=OURS, peers=peers, activate=activate))
        # Alone: no zebra, no kernel, no change of user.
        self.process = world.spawn([program, "-Z", "-n", "-S", "-l", OURS, "-f", folder / "bgpd.conf",
                                    "-i", folder / "bgpd.pid", "--vty_socket", folder], ns, "bgpd")
        self.pid = self.process.pid
        self.socket = socket.socket(socket.AF_UNIX)
        connect(self.socket, folder / "bgpd.vty")
        self.ask("enable")

    def ask(self, line):
        """An answer ends with three zero bytes and a status."""
        self.socket.sendall(line.encode() + b"\0")
        got = b""
        while len(got) < 4 or got[-4:-1] != b"\0\0\0":
            more = self.socket.recv(65536)
            if not more:
                raise Unavailable("FRR has ended")
            got += more
        return got[:-4].decode()

    def begin(self):
        self.reached = None

    def done(self, want, _since_ns):
        """All received, and then nothing more to do: best paths are chosen in a queue."""
        now, cpu = time.monotonic_ns(), cpu_ms(self.pid)
        if self.reached is None:
            n = 0
            for family in ("ipv4", "ipv6"):
                shown = json.loads(self.ask(f"show bgp {family} unicast summary json"))
                n += sum(p.get("pfxRcd", 0) for p in shown.get("peers", {}).values())
            if n == want:
                self.reached = self.last = now
                self.cpu = cpu
            return None
        if cpu - self.cpu > 1:
            self.last, self.cpu = now, cpu
        return self.last if now - self.last > IDLE_S * 1e9 else None

    def more(self):
        return {}

    def end(self):
        self.process.stop()


def connect(sock, path):
    end = time.monotonic() + 20
    while True:
        try:
            sock.connect(str(path))
            return
        except OSError:
            if time.monotonic() > end:
                raise Unavailable(f"{path.name}: nobody listens") from None
            time.sleep(0.05)


# ---- the run -------------------------------------------------------------------------------------

def wait_done(receiver, want, since_ns):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        at = receiver.done(want, since_ns)
        if at:
            return at
        time.sleep(POLL_S)
    raise Unavailable(f"not all routes within {LIMIT_S} s")


def one_run(world, kind, build, n4, n6):
    """What each step took: rows of one receiver."""
    from tests_lab.net import Namespace, link
    n = world.serial()
    theirs, ours = Namespace(world, f"n{n}"), Namespace(world, f"r{n}")
    link(theirs, "up0", ours, "up1", mtu=9000)
    ours.address("up1", f"{OURS}/24", "fd00::2/64")
    for a, _ in NEIGHBORS:
        theirs.address("up0", f"{a}/24", f"fd00::{a.rsplit('.')[-1]}/64")
    receiver = kind(world, ours, build)
    feeds = [Lines(world, theirs, [build / "bench" / "bgp_feed", a, asn, OURS, f"--v4={n4}", f"--v6={n6}",
                                   f"--seed={i + 1}"]) for i, (a, asn) in enumerate(NEIGHBORS)]
    for f in feeds:
        f.wait("established", 120)
    rss = rss_mb(receiver.pid)
    have, rows = 0, []

    def step(what, want, act):
        receiver.begin()
        cpu = cpu_ms(receiver.pid)
        since = act()
        at = wait_done(receiver, want, since)
        rows.append({"bench": "bgp", "peer": receiver.name, "step": what, "n_routes": abs(want - have),
                     "seconds": round((at - since) / 1e9, 3), "cpu_ms": round(cpu_ms(receiver.pid) - cpu, 1),
                     "rss_mb": round(rss_mb(receiver.pid) - rss, 1), **receiver.more()})
        return want

    def announce(f):
        f.tell("announce")
        return f.wait("sending")["ns"]

    def fall(f):
        since = time.monotonic_ns()
        f.end()
        return since

    have = step("announced", n4 + n6, lambda: announce(feeds[0]))
    have = step("second neighbour", 2 * (n4 + n6), lambda: announce(feeds[1]))
    have = step("first falls", n4 + n6, lambda: fall(feeds[0]))
    step("second falls", 0, lambda: fall(feeds[1]))
    getattr(receiver, "end", lambda: receiver.program.end())()
    return rows


LOW = ("seconds", "cpu_ms", "fib_cpu_ms", "longest_step_us", "longest_turn_us")


def rows(build, quick=False, only=None, runs=3):
    """The least of several runs: the machine is rarely ours alone. Memory is that of the last one."""
    from bench import gateway_feed
    from bench.failover import load_lab
    lab = load_lab(Path(__file__).resolve().parent.parent, build)
    n4, n6 = QUICK if quick else WHOLE
    best = {}
    for _ in range(1 if quick else runs):
        for kind in (Ours, OursWithFib, Bird, Frr):
            if only and not re.search(only, kind.name):
                continue
            try:
                with lab.World("bench") as world:
                    got = one_run(world, kind, build, n4, n6)
            except (lab.LabError, Unavailable, OSError, ValueError, subprocess.SubprocessError) as e:
                best.setdefault((kind.name, None), {"bench": "bgp", "peer": kind.name, "not_available": str(e)[-300:]})
                continue
            for row in got:
                old = best.setdefault((kind.name, row["step"]), row)
                for k in row:
                    old[k] = min(old[k], row[k]) if k in LOW else row[k]
    yield from best.values()
    if not only or re.search(only, gateway_feed.NAME):
        yield from gateway_feed.rows(lab, n4, n6)
