# SPDX-License-Identifier: Apache-2.0
"""libreswan: a libreswan gateway in a guest, with the ESP of the guest's kernel."""

import re

from .guestroot import GuestDaemon, GuestRoot
from .world import LabError, until

LIBEXEC = "/usr/libexec/ipsec"
NSS = "/var/lib/ipsec/nss"


class Libreswan(GuestDaemon):
    """Context manager. `connections`: what stands in ipsec.conf under `conn NAME`; `secrets`: lines of ipsec.secrets;
    `certificates`: (nickname, PKCS #12 file), `authorities`: (nickname, certificate file)."""

    def __init__(self, guest, name):
        self.guest, self.dir = guest, guest.world.dir / f"libreswan-{name}"
        self.log = self.dir / "pluto.log"
        self.connections, self.secrets, self.certificates, self.authorities = {}, [], [], []

    def __enter__(self):
        self.dir.mkdir()
        text = f"config setup\n    nssdir={NSS}\n    secretsfile={self.dir}/ipsec.secrets\n    uniqueids=no\n\n"
        for name, keys in self.connections.items():
            text += f"conn {name}\n" + "".join(f"    {k}={v}\n" for k, v in keys.items()) + "\n"
        (self.dir / "ipsec.conf").write_text(text)
        (self.dir / "ipsec.secrets").write_text("\n".join(self.secrets) + "\n")
        self.root = GuestRoot(self.guest)
        self.root.run(f"sh -c 'mkdir -p {NSS}; certutil -N -d sql:{NSS} --empty-password'")
        for name, path in self.authorities:
            self.root.run(f"certutil -A -d sql:{NSS} -n {name} -t CT,, -i {path}")
        for _, path in self.certificates:
            self.root.run(f"pk12util -d sql:{NSS} -W '' -i {path}")
        self.root.spawn(f"{LIBEXEC}/pluto --config {self.dir}/ipsec.conf --nofork --stderrlog", self.log, "/run/pluto.lab")

        def ready():
            shown = self.whack("--status", check=False)
            return all(f'"{n}"' in shown for n in self.connections)

        try:
            until("libreswan has its connections", ready, 20, 0.1)
        except LabError as e:
            raise LabError(f"{e}:\n{self.log_tail()}") from None
        return self

    def __exit__(self, *_):
        if self.guest.process.running:
            self.guest.run("kill $(cat /run/pluto.lab)", check=False)
        return False

    # ------------------------------------------------------------ acts

    def whack(self, *args, check=True):
        return self.root.run(f"{LIBEXEC}/whack {' '.join(args)}", check=check)

    def initiate(self, _child=None, name=None):
        self.whack("--initiate", "--asynchronous", "--name", name)

    def terminate(self, check=True, name=None):
        self.whack("--terminate", "--name", name, check=check)

    def terminate_child(self, _child, name):
        for serial in self.ids("child", name):
            self.whack("--deletestate", serial, check=False)

    def ask_rekey(self, what, name):
        self.whack("--rekey-ike" if what == "ike" else "--rekey-ipsec", "--asynchronous", "--name", name)

    # ------------------------------------------------------------ show

    def ids(self, what="child", name=None):
        """The numbers of the states."""
        state = "ESTABLISHED_CHILD_SA" if what == "child" else "ESTABLISHED_IKE_SA"
        return set(re.findall(rf'^000 #(\d+): "{re.escape(name)}"\S* STATE_V2_{state}', self.whack("--showstates"), re.MULTILINE))

    def sas(self, name):
        return self.ids("ike", name) | self.ids("child", name)

    def chosen(self, name):
        """The suites of IKE and ESP, as it writes them."""
        shown = self.whack("--status")

        def newest(what):
            m = re.search(rf'"{re.escape(name)}":\s+{what} algorithm newest: (.*)', shown)
            return m and m[1].strip()

        return newest("IKEv2"), newest("ESP")
