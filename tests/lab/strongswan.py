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

from .world import LabError, until

PLUGINS = ("random nonce openssl aes sha1 sha2 hmac kdf gcm ccm ctr curve25519 gmp drbg mgf1 pem pkcs1 pkcs8 x509 "
           "pubkey constraints kernel-libipsec kernel-netlink socket-default vici updown")
PSK = "a pre-shared key of the lab, long enough"


class StrongSwan:
    """Context manager. Options of the connection and its child are plain attributes until load()."""

    def __init__(self, site, peer, psk=PSK, initiate=True):
        self.site, self.peer, self.psk = site, peer, psk
        self.ns, self.world = site.gw, site.gw.world
        self.dir = self.world.dir / f"strongswan-{site.letter}"
        self.vici = self.dir / "vici.sock"
        self.log = self.dir / "charon.log"
        self.process = None
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

    # ------------------------------------------------------------ life

    def __enter__(self):
        for d in ("x509", "x509ca", "private", "rsa", "ecdsa", "pkcs8", "pkcs12", "pubkey", "x509crl", "x509aa",
                  "x509ac", "x509ocsp", "bliss"):
            (self.dir / "swanctl" / d).mkdir(parents=True, exist_ok=True)
        (self.dir / "strongswan.conf").write_text(_block("charon-systemd", {
            "load": PLUGINS, "install_routes": "yes", "retransmit_tries": "3", "retransmit_timeout": "0.5",
            "retransmit_base": "1.3", "threads": "16",
            "plugins": {"vici": {"socket": f"unix://{self.vici}"}, "kernel-libipsec": {"allow_peer_ts": "yes"}},
            "filelog": {"lab": {"path": str(self.log), "default": "1", "ike": "2", "net": "1", "flush_line": "yes",
                                "time_format": "%H:%M:%S", "time_add_ms": "yes"}}}))
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
            return self.vici.exists()

        until("charon-systemd listens", listens)
        self.load()

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None
        self.vici.unlink(missing_ok=True)

    def load(self):
        """Writes the configuration and loads it; SAs that exist stay as they are."""
        connection = {**self.connection,
                      "local": {"auth": "psk", "id": self.site.identity},
                      "remote": {"auth": "psk", "id": self.peer.identity},
                      "children": {"net": self.child}}
        secret = {"id-1": self.site.identity, "id-2": self.peer.identity, "secret": f'"{self.psk}"'}
        path = self.dir / "swanctl" / "swanctl.conf"
        path.write_text(_block("connections", {"lab": connection}) + _block("secrets", {"ike-1": secret}))
        path.chmod(0o600)
        self.swanctl("--load-all", "--noprompt")

    # ------------------------------------------------------------ acts

    def swanctl(self, *args, check=True, timeout=30):
        return self.ns.run([self.tool, *args, "--uri", f"unix://{self.vici}"], check=check, timeout=timeout,
                           env=self.environment)

    def initiate(self, timeout=15):
        r = self.swanctl("--initiate", "--child", "net", "--timeout", timeout, check=False, timeout=timeout + 5)
        if r.returncode != 0:
            raise LabError("strongSwan could not initiate:\n" + "\n".join(r.stdout.splitlines()[-12:]))

    def terminate(self, check=True):
        self.swanctl("--terminate", "--ike", "lab", "--timeout", "10", check=check)

    def terminate_child(self):
        self.swanctl("--terminate", "--child", "net", "--timeout", "10")

    def rekey(self, what="child", timeout=10):
        """Rekeys the child or the IKE SA from this side; returns when the new one serves alone."""
        before = self.ids(what)
        if len(before) != 1:
            raise LabError(f"strongSwan has {len(before)} {what} SAs where one is to be rekeyed")
        self.swanctl("--rekey", *(("--child", "net") if what == "child" else ("--ike", "lab")))
        self.wait_rekeyed(what, before, timeout)

    def wait_rekeyed(self, what, before, timeout=10):
        until(f"strongSwan's {what} SA is rekeyed",
              lambda: len(now := self.ids(what)) == 1 and now != before, timeout)

    # ------------------------------------------------------------ show

    def sas(self):
        """The IKE SAs, as dictionaries of what `swanctl --list-sas --raw` prints."""
        found = []
        for line in self.swanctl("--list-sas", "--raw").stdout.splitlines():
            if line.startswith("list-sa event"):
                found += [dict(v, name=k) for k, v in _parse(line[len("list-sa event"):]).items()]
        return found

    def children(self):
        return [c for s in self.sas() for c in s.get("child-sas", {}).values()]

    def ids(self, what="child"):
        """The SPIs of what is established, to tell one SA from its successor."""
        if what == "child":
            return {(c["spi-in"], c["spi-out"]) for c in self.children() if c["state"] == "INSTALLED"}
        return {(s["initiator-spi"], s["responder-spi"]) for s in self.sas() if s["state"] == "ESTABLISHED"}

    def wait_up(self, timeout=15):
        until("strongSwan's tunnel is up", lambda: self.ids(), timeout)

    def wait_down(self, timeout=15):
        until("strongSwan's IKE SA is gone", lambda: not self.sas(), timeout)

    def log_has(self, pattern):
        return re.search(pattern, self.log.read_text(errors="replace")) if self.log.exists() else None

    @staticmethod
    def installed():
        return shutil.which("charon-systemd", path="/usr/sbin") and shutil.which("swanctl", path="/usr/sbin")


def _block(name, values, depth=0):
    pad = "  " * depth
    lines = [f"{pad}{name} {{"]
    for k, v in values.items():
        lines.append(_block(k, v, depth + 1).rstrip("\n") if isinstance(v, dict) else f"{pad}  {k} = {v}")
    return "\n".join(lines + [f"{pad}}}"]) + "\n"


def _parse(text):
    """swanctl's raw form: name {key=value ... name {...} list=[a b]}."""
    tokens = re.findall(r"[{}\[\]]|[^\s{}\[\]]+", text)
    at = 0

    def section():
        nonlocal at
        values = {}
        while at < len(tokens):
            t = tokens[at]
            at += 1
            if t == "}":
                break
            if t == "{":
                values.update(section())
            elif at < len(tokens) and tokens[at] == "{":
                at += 1
                values[t] = section()
            elif at < len(tokens) and tokens[at] == "[" and t.endswith("="):
                end = tokens.index("]", at)
                values[t[:-1]] = tokens[at + 1:end]
                at = end + 1
            elif "=" in t:
                k, _, v = t.partition("=")
                values[k] = v
        return values

    return section()
