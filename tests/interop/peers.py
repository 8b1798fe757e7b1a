# SPDX-License-Identifier: Apache-2.0
"""peers: who stands at the other end of the matrix."""

import contextlib

from lab.strongswan import Charon
from lab.uml import Guest, GuestCharon

OPTIONS = {"fragment_size": "600"}


class Userspace:
    """strongSwan 5.9 with its own ESP, which is always in UDP."""

    NEEDS = ("charon-systemd", "swanctl")
    KERNEL = True  # the namespace's Linux routes for it

    @staticmethod
    @contextlib.contextmanager
    def serve(ground, configure):
        charon = Charon(ground.b.gw, "b", OPTIONS)
        configure(charon, ground)
        with charon:
            yield charon

    @staticmethod
    def forms(row):
        """How the row's ESP may be on the wire."""
        return ("esp-in-udp",)


class Kem(Userspace):
    """strongSwan 6, which has additional key exchanges; extra finds both programs a system where
    libcrypto has ML-KEM."""


class Kernel:
    """strongSwan 5.9 with the ESP of a Linux kernel, which runs as a process (lab/uml.py)."""

    NEEDS = ("charon-systemd", "swanctl", "linux.uml")
    KERNEL = False

    @staticmethod
    @contextlib.contextmanager
    def serve(ground, configure):
        with Guest(ground.b.gw, ("eth0", "eth1")) as guest:
            guest.run("sysctl -qw net.ipv4.conf.all.promote_secondaries=1")  # an address that goes takes no other with it
            guest.run("ip -batch -", stdin="\n".join(ground.peer_addresses()) + "\n")
            charon = GuestCharon(guest, "b", ground.b.host, "10.2.0.1", OPTIONS)
            configure(charon, ground)
            with charon:
                yield charon

    @staticmethod
    def forms(row):
        forced = row.ours.get("udp_encapsulation") == "force" or row.theirs.get("encap") == "yes"
        return ("esp-in-udp",) if row.path != "direct" or forced else ("esp",)


class Mobile(Kernel):
    """The same, with rows that move; a NAT may come between the ends meanwhile."""

    @staticmethod
    def forms(row):
        return ("esp", "esp-in-udp") if "nat" in row.name else ("esp",)


PEERS = {"userspace": Userspace, "kernel": Kernel, "mobile": Mobile, "kem": Kem}
