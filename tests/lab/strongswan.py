# SPDX-License-Identifier: Apache-2.0
"""strongswan: a strongSwan 5.9 gateway with its userspace ESP, one a namespace.

The daemon is charon-systemd, because charon shares a pid file among all instances. Its ESP is
always encapsulated in UDP: kernel-libipsec makes NAT detection fail on purpose. It must stand
before kernel-netlink in the list of plugins.

Debian's AppArmor profile of /usr/sbin/swanctl allows it no file of the lab; it holds for that path
alone, so the lab runs a copy. That of charon-systemd only complains.
"""

import re
import shutil

from .vici import Vici
from .world import LabError, until

PLUGINS = ("random nonce openssl aes sha1 sha2 hmac kdf gcm ccm ctr curve25519 gmp drbg mgf1 pem pkcs1 pkcs8 x509 "
           "pubkey constraints kernel-libipsec kernel-netlink socket-default vici updown")
DIRECTORIES = ("x509", "x509ca", "private", "rsa", "ecdsa", "pkcs8", "pkcs12", "pubkey", "x509crl", "x509aa", "x509ac",
               "x509ocsp", "bliss")
PSK = "a pre-shared key of the lab, long enough"


class Charon:
    """Context manager: the daemon, its configuration in files, its control socket. `connections` and
    `secrets` are what swanctl.conf will hold; change them before load(). `charon`: options of
    strongswan.conf."""

    def __init__(self, ns, name, charon=None, plugins=PLUGINS):
        self.ns, self.world = ns, ns.world
        self.dir = self.world.dir / f"strongswan-{name}"
        self.socket = self.dir / "vici.sock"
        self.log = self.dir / "charon.log"
        self.process = None
        self.connections, self.secrets = {}, {}
        self.options = {
            "load": plugins, "install_routes": "yes", "retransmit_tries": "3", "retransmit_timeout": "0.5",
            "retransmit_base": "1.3", "threads": "16",
            "plugins": {"vici": {"socket": f"unix://{self.socket}"}, "kernel-libipsec": {"allow_peer_ts": "yes"}},
            "filelog": {"lab": {"path": str(self.log), "default": "1", "ike": "2", "net": "1", "flush_line": "yes",
                                "time_format": "%H:%M:%S", "time_add_ms": "yes"}}, **(charon or {})}
        self._vici = None

    # ------------------------------------------------------------ life

    def __enter__(self):
        for d in DIRECTORIES:
            (self.dir / "swanctl" / d).mkdir(parents=True, exist_ok=True)
        (self.dir / "strongswan.conf").write_text(_block("charon-systemd", self.options))
        self.tool = self.dir / "swanctl-copy"
        shutil.copy("/usr/sbin/swanctl", self.tool)
        self.environment = {"STRONGSWAN_CONF": str(self.dir / "strongswan.conf"),
                            "SWANCTL_DIR": str(self.dir / "swanctl")}
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        return False

    def start(self):
        self.process = self.ns.spawn(["/usr/sbin/charon-systemd"], "charon", env=self.environment)

        def listens():
            if not self.process.running:
                raise LabError(f"charon-systemd ended: {self.process.text[-1000:]}")
            return self.socket.exists()

        until("charon-systemd listens", listens)
        self.load()

    def stop(self):
        if self._vici:
            self._vici.close()
            self._vici = None
        if self.process:
            self.process.stop()
            self.process = None
        self.socket.unlink(missing_ok=True)

    def load(self):
        """Writes the configuration and loads it; SAs that exist stay as they are."""
        path = self.dir / "swanctl" / "swanctl.conf"
        path.write_text(_block("connections", self.connections) + _block("secrets", self.secrets))
        path.chmod(0o600)
        self.swanctl("--load-all", "--noprompt")

    # ------------------------------------------------------------ acts

    def swanctl(self, *args, check=True, timeout=30):
        return self.ns.run([self.tool, *args, "--uri", f"unix://{self.socket}"], check=check, timeout=timeout,
                           env=self.environment)

    def shell(self, script):
        """Runs a shell script where the daemon is."""
        return self.ns.run(["sh", "-c", script]).stdout

    @property
    def vici(self):
        if not self._vici:
            self._vici = Vici.at(self.socket)
        return self._vici

    def initiate(self, child="net", timeout=15, name="lab"):
        try:
            self.vici.call("initiate", child=child, ike=name, timeout=int(timeout * 1000), loglevel=-1)
        except LabError as e:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise LabError(f"{e}:\n{tail}") from None

    def terminate(self, check=True, name="lab"):
        try:
            self.vici.call("terminate", ike=name, timeout=10000, loglevel=-1)
        except LabError:
            if check:
                raise

    def terminate_child(self, child="net", name="lab"):
        self.vici.call("terminate", child=child, ike=name, timeout=10000, loglevel=-1)

    def ask_rekey(self, what, name):
        """Begins the rekey of a connection whose child has the same name."""
        self.vici.call("rekey", **({"child": name} if what == "child" else {}), ike=name)

    def rekey(self, what="child", timeout=10, name="lab", child="net"):
        """Rekeys the child or the IKE SA from this side; returns when the new one serves alone."""
        before = until(f"strongSwan has one {what} SA to be rekeyed",
                       lambda: now if len(now := self.ids(what, name)) == 1 else None)
        self.vici.call("rekey", **({"child": child, "ike": name} if what == "child" else {"ike": name}))
        self.wait_rekeyed(what, before, timeout, name)

    def wait_rekeyed(self, what, before, timeout=10, name="lab"):
        until(f"strongSwan's {what} SA is rekeyed",
              lambda: len(now := self.ids(what, name)) == 1 and now != before, timeout)

    # ------------------------------------------------------------ show

    def sas(self, name="lab"):
        """The IKE SAs of a connection (None: all), as trees of what VICI's list-sa says."""
        streamed = self.vici.call("list-sas", "list-sa", **({"ike": name} if name else {}))
        return [dict(v, name=k) for tree in streamed for k, v in tree.items()]

    def sa(self, name="lab"):
        """The one that serves; its predecessor may be on its way out."""
        found = [s for s in self.sas(name) if s["state"] == "ESTABLISHED"]
        if len(found) != 1:
            raise LabError(f"strongSwan has {len(found)} established IKE SAs of {name}")
        return found[0]

    def children(self, name="lab"):
        return [c for s in self.sas(name) for c in s.get("child-sas", {}).values()]

    def ids(self, what="child", name="lab"):
        """The SPIs of what is established, to tell one SA from its successor."""
        if what == "child":
            return {(c["spi-in"], c["spi-out"]) for c in self.children(name) if c["state"] == "INSTALLED"}
        return {(s["initiator-spi"], s["responder-spi"]) for s in self.sas(name) if s["state"] == "ESTABLISHED"}

    def wait_up(self, timeout=15, name="lab"):
        until("strongSwan's tunnel is up", lambda: self.ids("child", name), timeout)

    def wait_down(self, timeout=15, name="lab"):
        until("strongSwan's IKE SA is gone", lambda: not self.sas(name), timeout)

    def log_has(self, pattern):
        return re.search(pattern, self.log.read_text(errors="replace")) if self.log.exists() else None

    @staticmethod
    def installed():
        return shutil.which("charon-systemd", path="/usr/sbin") and shutil.which("swanctl", path="/usr/sbin")


class StrongSwan(Charon):
    """A gateway with one connection, `lab`. Options of the connection and its child are plain
    attributes until load()."""

    def __init__(self, site, peer, psk=PSK, initiate=True):
        super().__init__(site.gw, site.letter)
        self.site, self.peer, self.psk = site, peer, psk
        self.connection = {
            "version": "2", "mobike": "no", "dpd_delay": "0s", "rekey_time": "0s", "reauth_time": "0s",
            "proposals": "aes256gcm16-prfsha384-x25519", "keyingtries": "1",
            "local_addrs": site.outside[0], "remote_addrs": peer.public[0] if initiate else "%any",
        }
        self.child = {
            "local_ts": ",".join(site.networks), "remote_ts": ",".join(peer.networks),
            "esp_proposals": "aes256gcm16-x25519", "mode": "tunnel", "rekey_time": "0s", "start_action": "none",
            "dpd_action": "clear",
        }

    def load(self):
        self.connections["lab"] = {**self.connection, "local": {"auth": "psk", "id": self.site.identity},
                                   "remote": {"auth": "psk", "id": self.peer.identity},
                                   "children": {"net": self.child}}
        self.secrets["ike-1"] = {"id-1": self.site.identity, "id-2": self.peer.identity, "secret": f'"{self.psk}"'}
        super().load()


def _block(name, values, depth=0):
    pad = "  " * depth
    lines = [f"{pad}{name} {{"]
    for k, v in values.items():
        lines.append(_block(k, v, depth + 1).rstrip("\n") if isinstance(v, dict) else f"{pad}  {k} = {v}")
    return "\n".join(lines + [f"{pad}}}"]) + "\n"
