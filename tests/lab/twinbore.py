# SPDX-License-Identifier: Apache-2.0
"""twinbore: a Twinbore gateway, one a namespace, from its configuration to its counters."""

import copy
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace

from . import yamlout
from .world import PATIENCE, LabError, until

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("TWINBORE_BUILD") or ROOT / "build")
AF_XDP = 44


def _driver():
    """The DPDK driver of the gateways' ports. net_af_packet, where there is no AF_XDP, is slower,
    and reassembles fragments behind the gateway's back."""
    try:
        socket.socket(AF_XDP, socket.SOCK_RAW).close()
        return "net_af_xdp"
    except OSError:
        return "net_af_packet"


DRIVER = os.environ.get("TWINBORE_LAB_DRIVER") or _driver()


def program(name):
    """A program of the build, or of the system where there is no build."""
    for folder in ("daemon", "cli", "dataplane", "."):
        path = BUILD / folder / name
        if path.is_file():
            return str(path)
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    if not found:
        raise LabError(f"{name} is neither in {BUILD} nor installed; build first: ninja -C {BUILD}")
    return found


def account():
    """The account of the unprivileged processes: the product's own where it exists."""
    try:
        return pwd.getpwnam("twinbore").pw_name
    except KeyError:
        return "nobody"


class RequestError(LabError):
    """The gateway refused a request."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")


class Twinbore:
    """Context manager. `config` is the configuration as it will be written; change it before start()
    or before reload()."""

    def __init__(self, site, memory=256, hugepages="off"):
        self.site, self.ns, self.world = site, site.gw, site.gw.world
        self.dir = self.world.dir / f"twinbore-{site.letter}"
        self.dir.mkdir(mode=0o755)
        self.path = self.dir / "gateway.yaml"
        self.socket = self.dir / "control.sock"
        self.process = None
        self.config = {
            "version": 1,
            "gateway": {"name": site.name, "user": account(), "control_socket": str(self.socket),
                        "state_directory": str(self.socket.parent / "state"),
                        "log": {"level": "debug", "format": "text"}},
            "dataplane": {"workers": 1, "hugepages": hugepages, "memory": memory},
            "ports": [self._port("wan", "eth0", [f"{o}/{site.outside_len}" for o in site.outside],
                                 [site.outside_gateway]),
                      self._port("lan", "eth1", site.lan, None)],
            "connections": [],
        }

    @staticmethod
    def _port(name, ifname, addresses, gateway):
        port = {"name": name, "device": {"vdev": f"{DRIVER},iface={ifname}"}, "addresses": addresses}
        if gateway:
            port["gateway"] = gateway
        return port

    # --------------------------------------------------- configuration

    def psk(self, name, value):
        """Writes a pre-shared key where only root reads it; returns the file's path."""
        path = self.dir / f"{name}.psk"
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(value + "\n")
        return str(path)

    def connect(self, peer, psk, tunnels, networks=None, **options):
        """Adds a connection to the site `peer`. `tunnels`: pairs of outside addresses (ours,
        theirs). `options`: those of a tunnel, for all of them. Returns the connection, to be
        changed further."""
        ours, theirs = networks or (self.site.networks, peer.networks)
        connection = {
            "name": peer.name,
            "local_networks": list(ours),
            "remote_networks": list(theirs),
            "defaults": {"psk_file": self.psk(peer.name, psk), "local_id": self.site.identity,
                         "remote_id": peer.identity, **options},
            "tunnels": [{"name": f"{peer.name}-{n}", "local_address": local, "remote_address": remote,
                         "interface": f"tb-{peer.letter}-{n}",
                         "inside_addresses": [f"169.254.{9 + n}.{self.site.number}/30"]}
                        for n, (local, remote) in enumerate(tunnels, 1)],
        }
        self.config["connections"].append(connection)
        return connection

    def write(self):
        self.path.write_text(yamlout.dump(self.config))

    def snapshot(self):
        return copy.deepcopy(self.config)

    # ------------------------------------------------------------ life

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        return False

    def start(self, timeout=30):
        self.write()
        self.process = self.ns.spawn([program("twinbored"), "--config", self.path], f"twinbored-{self.site.letter}")

        def serves():
            if not self.process.running:
                raise LabError(f"twinbored ended ({self.process.popen.returncode}):\n{self.process.text[-3000:]}")
            try:
                return all(p["state"] == "running" for p in self.call("status")["processes"])
            except (OSError, RequestError):
                return False

        until(f"the gateway of {self.site.name} runs", serves, timeout, 0.05)
        return self

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    @property
    def log(self):
        return self.process.text if self.process else ""

    # --------------------------------------------------------- control

    def call(self, method, **params):
        """A request on the control socket (docs/control-protocol.md); returns its result. What only looks is asked
        once more when a process had no time for an answer, or has just ended."""
        end = time.monotonic() + 10 * PATIENCE
        while True:
            try:
                return self._call(method, params)
            except RequestError as e:
                if e.code != "unavailable" or not method.startswith("show.") or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def _call(self, method, params):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10 * PATIENCE)
            s.connect(str(self.socket))
            s.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
            with s.makefile() as f:
                line = f.readline()
        if not line:
            raise LabError(f"no answer to {method}")
        answer = json.loads(line)
        if "error" in answer:
            raise RequestError(answer["error"])
        return answer["result"]

    def cli(self, *args, check=True, as_json=True):
        """The command-line tool; its JSON, or with as_json=False the CompletedProcess."""
        argv = [program("twinbore"), "--socket", self.socket] + (["--json"] if as_json else []) + list(args)
        r = self.ns.run(argv, check=False)
        if check and r.returncode not in (0, 3):
            raise LabError(f"twinbore {' '.join(args)}: status {r.returncode}: {(r.stderr + r.stdout).strip()}")
        return json.loads(r.stdout) if as_json else r

    def status(self):
        return self.call("status")

    def tunnel(self, name):
        for t in self.call("show.tunnels")["tunnels"]:
            if t["name"] == name:
                return t
        raise LabError(f"the gateway shows no tunnel {name}")

    def sas(self, tunnel, kind):
        return [s for s in self.call("show.sas")["sas"] if s["tunnel"] == tunnel and s["kind"] == kind]

    def ids(self, tunnel, what="child"):
        """The SPIs of what is established, to tell one SA from its successor. A child that was deleted
        accepts stragglers for some seconds more; it does not count."""
        if what == "child":
            return {(s["spi_in"], s["spi_out"]) for s in self.sas(tunnel, "child") if s["state"] != "lingering"}
        return {(s["spi_i"], s["spi_r"]) for s in self.sas(tunnel, "ike")}

    def counters(self):
        """All counters, as "process.name"."""
        c = self.call("show.counters")
        return {f"{p}.{n}": v for p in ("ike", "dataplane") for n, v in c[p].items()}

    def restarts(self):
        return {p["role"]: (p["pid"], p["restarts"]) for p in self.status()["processes"]}

    def events(self, kind=None, tunnel=None):
        return [e for e in self.call("events", follow=False)["events"]
                if kind in (None, e["kind"]) and tunnel in (None, e.get("tunnel"))]

    # ------------------------------------------------------------ acts

    def up(self, tunnel):
        self.cli("up", tunnel)

    def down(self, tunnel):
        self.cli("down", tunnel)

    def reload(self):
        self.write()
        return self.cli("reload")

    def wait_up(self, *tunnels, timeout=20):
        for t in tunnels:
            def is_up():
                shown = self.tunnel(t)
                self._seen = f"{shown.get('phase')}: {shown.get('reason')}"
                return shown["up"]

            try:
                until(f"{t} is up", is_up, timeout)
            except LabError as e:
                raise LabError(f"{e} ({self._seen})") from None
        return self

    def wait_down(self, *tunnels, timeout=20):
        for t in tunnels:
            until(f"{t} is down", lambda: not self.tunnel(t)["up"], timeout)
        return self

    def wait_active(self, connection, tunnel, timeout=20):
        """Waits until the connection's traffic goes by `tunnel`."""
        def active():
            for c in self.call("show.connections")["connections"]:
                if c["name"] == connection:
                    return c["active_tunnel"] == tunnel
            return False

        until(f"{connection} is carried by {tunnel}", active, timeout)
        return self

    def exits(self):
        """What was said of processes that ended, and by processes that gave up."""
        return "\n".join(line for line in self.log.splitlines()
                         if "process-exited" in line or " error " in line)

    def kill_role(self, *roles):
        """Kills processes outright; returns when their successors run, and no other was restarted."""
        before = self.restarts()
        for r in roles:
            os.kill(before[r][0], signal.SIGKILL)

        def back():
            try:
                now = {p["role"]: p for p in self.status()["processes"]}
            except (OSError, LabError):
                return False  # that was the control process
            return all(now[r]["state"] == "running" and now[r]["pid"] != before[r][0] and
                       now[r]["restarts"] > before[r][1] for r in roles)

        until(f"{' and '.join(roles)} started again", back, 20)
        now = self.restarts()
        assert all(now[r][1] == before[r][1] + 1 for r in roles), self.exits()
        others = {r: v for r, v in now.items() if r not in roles}
        assert others == {r: v for r, v in before.items() if r not in roles}, (before, others)

    def rekey(self, tunnel, what="child", timeout=10):
        """Rekeys from this side; returns when the successor serves alone."""
        # What the peer has rekeyed just now may still be on its way out.
        before = until(f"{tunnel} has one {what} SA to be rekeyed",
                       lambda: now if len(now := self.ids(tunnel, what)) == 1 else None)
        if what == "ike":
            self.cli("rekey", tunnel, "--ike")
        else:
            self.cli("rekey", tunnel)
        self.wait_rekeyed(tunnel, what, before, timeout)

    def wait_rekeyed(self, tunnel, what, before, timeout=10):
        until(f"the {what} SA of {tunnel} is rekeyed",
              lambda: len(now := self.ids(tunnel, what)) == 1 and not now & before, timeout)


def new_psk():
    return secrets.token_hex(24)


def pair(sites, tunnels=1, psk=None, hugepages="off", **options):
    """Two Twinbore gateways with one connection; a begins, b waits. Not started yet."""
    psk = psk or new_psk()
    a, b = Twinbore(sites.a, hugepages=hugepages), Twinbore(sites.b, hugepages=hugepages)
    ends = [(sites.a, 0, sites.b, n) for n in range(tunnels)]
    a.connect(sites.b, psk, [(sa.outside[0], sb.public[n]) for sa, _, sb, n in ends], startup="start", **options)
    b.connect(sites.a, psk, [(sb.outside[n], sa.public[0]) for sa, _, sb, n in ends], startup="add", **options)
    return SimpleNamespace(a=a, b=b, names_a=[f"{sites.b.name}-{n + 1}" for n in range(tunnels)],
                           names_b=[f"{sites.a.name}-{n + 1}" for n in range(tunnels)])


def wait_both_up(p, timeout=25):
    end = time.monotonic() + timeout
    p.a.wait_up(*p.names_a, timeout=timeout)
    p.b.wait_up(*p.names_b, timeout=max(1.0, end - time.monotonic()))
