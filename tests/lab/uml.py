# SPDX-License-Identifier: Apache-2.0
"""uml: a guest with a Linux kernel of its own, as a process of this machine (user-mode-linux).

The kernels that tests run on need not have ESP; this one does. It boots in two seconds from this machine's files,
read-only, and owns the interfaces of one namespace by raw sockets. Commands go through files, because a guest
has no other channel that does not depend on what is being tested.
"""

import ctypes
import os
import shutil
import socket
from pathlib import Path

from .flows import inside
from .strongswan import Charon
from .vici import Vici
from .world import LabError, until

SYS_PIDFD_GETFD = 438
SO_RCVBUFFORCE = 33
ROOM = 64 << 20  # bytes that wait for a guest
KERNEL = "/usr/bin/linux.uml"
INIT = Path(__file__).resolve().parent / "uml-init"
MODULES = ("xfrm_user", "esp4", "esp6", "gcm", "seqiv", "echainiv", "authenc", "authencesn", "cbc", "ctr", "hmac", "sha1_generic",
           "sha256_generic", "sha512_generic", "chacha20poly1305", "udp_tunnel", "udp_diag")


class Guest:
    """Context manager. Its interfaces are those of `ns`, by the same names."""

    def __init__(self, ns, interfaces, root="/", memory=192):
        self.ns, self.world = ns, ns.world
        self.interfaces, self.root, self.memory = interfaces, root, memory
        self.dir = self.world.dir / f"guest-{ns.name}"
        self.process = None
        self._serial = 0

    def __enter__(self):
        self.dir.mkdir()
        vectors = [f"vec{n}:transport=raw,ifname={name},depth=128,mac=02:00:00:00:{self.world.serial() % 256:02x}:{n + 1:02x}"
                   for n, name in enumerate(self.interfaces)]
        # The namespace's own stack stays out of it.
        self.ns.sysctl({"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1})
        self.process = self.ns.spawn(
            [KERNEL, f"mem={self.memory}M", f"umid={self.ns.full}", f"uml_dir={self.dir}", "root=/dev/root", "rootfstype=hostfs",
             f"rootflags={self.root}", "ro", f"init={INIT}", f"world={self.world.dir}", f"share={self.dir}", *vectors,
             "con=null", "con0=null,fd:1", "ssl=null", "quiet"], "uml")

        def runs():
            if not self.process.running:
                raise LabError(f"the guest ended:\n{self.process.text[-2000:]}")
            return (self.dir / "up").exists()

        until("the guest runs", runs, 30)
        self.run("".join(f"ip link set vec{n} name {name} txqueuelen 20000; ip link set {name} up\n" for n, name in enumerate(self.interfaces)) +
                 f"/run/modprobe -a {' '.join(MODULES)} 2>/dev/null\n"
                 "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 "
                 "net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0\n")
        self.make_room()
        return self

    def make_room(self):
        """The sockets that are its interfaces hold what comes while the guest gets no turn: with what is usual they
        are full after some tenths of a second, and it would seem that the gateways had lost the rest."""
        libc = ctypes.CDLL(None, use_errno=True)
        pidfd = os.pidfd_open(self.process.pid)
        found = 0
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
            if fd < 0:
                continue
            try:
                s = socket.socket(fileno=fd)
            except OSError:  # a file
                os.close(fd)
                continue
            with s:
                if s.family == socket.AF_PACKET:
                    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
                    found += 1
        os.close(pidfd)
        if found < len(self.interfaces):
            raise LabError(f"{found} sockets of the guest found, it has {len(self.interfaces)} interfaces")

    def __exit__(self, *_):
        if self.process and self.process.running:
            (self.dir / "poweroff").touch()
            try:
                self.process.wait(3)
            except LabError:
                self.process.stop(timeout=1)
        return False

    def run(self, script, check=True, timeout=60, stdin=None):
        """Runs a shell script in the guest; returns what it printed."""
        self._serial += 1
        base = self.dir / f"{self._serial:03d}"
        if stdin is not None:
            base.with_suffix(".in").write_text(stdin)
            script = f"({script}) <{base.with_suffix('.in')}"
        base.with_suffix(".new").write_text(script + "\n")
        base.with_suffix(".new").rename(base.with_suffix(".cmd"))

        def ended():
            if not self.process.running:
                raise LabError(f"the guest ended:\n{self.process.text[-2000:]}")
            return base.with_suffix(".rc").exists()

        until(f"the guest ran {script[:80]!r}", ended, timeout, 0.01)
        out = base.with_suffix(".out").read_text(errors="replace")
        status = base.with_suffix(".rc").read_text().strip()
        if check and status != "0":
            raise LabError(f"in the guest, {script[:200]!r}: status {status}\n{out[-2000:]}")
        return out

    @staticmethod
    def installed():
        return shutil.which("linux.uml")


class GuestCharon(Charon):
    """strongSwan in a guest, with the ESP of the guest's kernel. Its control socket is reached from `host`, a
    namespace behind the guest, at `address`."""

    PLUGINS = ("random nonce openssl aes sha1 sha2 hmac kdf gcm ccm ctr curve25519 gmp chapoly drbg mgf1 pem pkcs1 pkcs8 "
               "x509 pubkey constraints kernel-netlink socket-default vici updown")
    PORT = 4502

    def __init__(self, guest, name, host, address, charon=None):
        super().__init__(guest.ns, name, charon, self.PLUGINS)
        self.guest, self.host, self.address = guest, host, address
        self.options["plugins"]["vici"]["socket"] = f"tcp://{address}:{self.PORT}"
        self.options.setdefault("syslog", {})

    def start(self):
        self.guest.run("export " + " ".join(f"{k}={v}" for k, v in self.environment.items()) +
                       f"; setsid /usr/sbin/charon-systemd >{self.dir}/charon.out 2>&1 & echo $! >/run/charon.lab")

        def listens():
            try:
                return self.vici.call("version")
            except OSError:
                return None

        until("strongSwan in the guest listens", listens, 20, 0.05)
        self.load()

    def stop(self):
        if self._vici:
            self._vici.close()
            self._vici = None
        if self.guest.process.running:
            self.guest.run("kill $(cat /run/charon.lab)", check=False)

    def shell(self, script):
        return self.guest.run(script)

    @property
    def vici(self):
        if not self._vici:
            def connect():
                with inside(self.host):
                    s = socket.socket()
                s.settimeout(5)
                s.connect((self.address, self.PORT))
                return s

            self._vici = Vici(connect)
        return self._vici

    def swanctl(self, *args, check=True, timeout=30):
        """Not in the guest, where a program takes seconds to begin."""
        return self.host.run([self.tool, *args, "--uri", f"tcp://{self.address}:{self.PORT}"], check=check, timeout=timeout,
                             env=self.environment)
