# SPDX-License-Identifier: Apache-2.0
"""peers: who stands at the other end of the matrix."""

import contextlib

from lab import LabError
from lab.guestroot import ROOT
from lab.libreswan import Libreswan
from lab.strongswan import Charon
from lab.uml import Guest, GuestCharon

import ground as grounds
import rows as tables

OPTIONS = {"fragment_size": "600"}


def same(what, shown, wanted):
    for k, v in wanted.items():
        if shown.get(k) != v:
            raise LabError(f"{what}: {k} is {shown.get(k)!r} where {v!r} was to be chosen")


class Userspace:
    """strongSwan 5.9 with its own ESP, which is always in UDP."""

    NEEDS = ("charon-systemd", "swanctl")
    KERNEL = True  # the namespace's Linux routes for it
    INTERVAL_MS = 2  # between the packets of a flow
    LOSSY_MS = 0   # the longest gap that its rekeys make; 0: they lose nothing

    @staticmethod
    @contextlib.contextmanager
    def serve(ground, keys):
        charon = Charon(ground.b.gw, "b", OPTIONS)
        grounds.configure_theirs(charon, ground, keys)
        with charon:
            yield charon

    @staticmethod
    def forms(row):
        """How the row's ESP may be on the wire."""
        return ("esp-in-udp",)

    @staticmethod
    def chosen(ss, row, esp):
        """What it shows of the row's SAs; `esp` is the suite that the child has by now."""
        sa = ss.sa(row.name)
        same("strongSwan's IKE SA", sa, {**tables.shown_by_strongswan(*row.ike, row.kem), "ppk": "yes" if row.ppk == "both" else None})
        child, = (c for c in sa["child-sas"].values() if c["state"] == "INSTALLED")
        same("strongSwan's child", child, {**tables.shown_by_strongswan(*esp), "esn": "1" if row.esn else None})
        if not row.esp[2] and child.get("dh-group"):
            raise LabError(f"the child has a group where there is to be none: {child['dh-group']}")


class Kem(Userspace):
    """strongSwan 6, which has additional key exchanges; extra finds both programs a system where
    libcrypto has ML-KEM."""


class Kernel(Userspace):
    """strongSwan 5.9 with the ESP of a Linux kernel, which runs as a process (lab/uml.py)."""

    NEEDS = ("charon-systemd", "swanctl", "linux.uml")
    KERNEL = False
    INTERVAL_MS = 5  # a guest that gets no turn for half a second has that much to catch up with

    @staticmethod
    @contextlib.contextmanager
    def guest(ground):
        with Guest(ground.b.gw, ("eth0", "eth1")) as guest:
            guest.run("sysctl -qw net.ipv4.conf.all.promote_secondaries=1")  # an address that goes takes no other with it
            guest.run("ip -batch -", stdin="\n".join(ground.peer_addresses()) + "\n")
            yield guest

    @classmethod
    @contextlib.contextmanager
    def serve(cls, ground, keys):
        with cls.guest(ground) as guest:
            charon = GuestCharon(guest, "b", ground.b.host, "10.2.0.1", OPTIONS)
            grounds.configure_theirs(charon, ground, keys)
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


class OtherKernel(Kernel):
    """Another IKE with the ESP of a Linux kernel."""

    NEEDS = ("linux.uml", str(ROOT / "usr/libexec/ipsec/pluto"))


class LibreswanKernel(OtherKernel):
    """libreswan 4.10, from the files of another Debian (extra makes them). When we rekey, it sends by the new
    SA before its response is on the way, which has the half of the keys that we lack."""

    LOSSY_MS = 500

    @classmethod
    @contextlib.contextmanager
    def serve(cls, ground, keys):
        with cls.guest(ground) as guest:
            lsw = Libreswan(guest, "b")
            grounds.configure_libreswan(lsw, ground, keys)
            with lsw:
                yield lsw

    @staticmethod
    def chosen(lsw, row, esp):
        shown = dict(zip(("IKE", "ESP"), lsw.chosen(row.name)))
        wanted = tables.shown_by_libreswan(row.ike, esp)
        if any(not (shown[k] or "").startswith(v) for k, v in wanted.items()):
            raise LabError(f"libreswan shows {shown} where {wanted} was to be chosen")


PEERS = {"userspace": Userspace, "kernel": Kernel, "mobile": Mobile, "kem": Kem, "libreswan": LibreswanKernel}
