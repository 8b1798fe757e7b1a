# SPDX-License-Identifier: Apache-2.0
"""guestroot: another Debian's files in a guest (uml.py), for programs that this machine cannot have installed beside
strongSwan. They stay read-only; what the programs write goes to tmpfs."""

import os
import shlex
from pathlib import Path

from .world import until

ROOT = Path(os.environ.get("TWINBORE_EXTRA") or "/var/tmp/twinbore-extra") / "bookworm"
AT = "/run/other"
WRITTEN = ("run", "tmp", "var/lib/ipsec")


class GuestRoot:
    def __init__(self, guest, root=ROOT):
        self.guest, self.root = guest, root
        world = shlex.quote(str(guest.world.dir))
        guest.run(f"mkdir {AT}; mount -t hostfs none {AT} -o ro,{root}; cd {AT} || exit 1\n" +
                  "".join(f"mount -t tmpfs tmpfs {d}\n" for d in WRITTEN) +
                  f"mount -t proc proc proc; mount --rbind /dev dev; mount -t sysfs sys sys\n"
                  f"mkdir -p {AT}{world}; mount -t hostfs none {AT}{world} -o {world}")

    def run(self, command, **kw):
        return self.guest.run(f"exec chroot {AT} {command}", **kw)

    def spawn(self, command, log, pid):
        """A daemon; its process id goes to the file `pid` of the guest."""
        self.guest.run(f"setsid chroot {AT} {command} >{log} 2>&1 & echo $! >{pid}")


class GuestDaemon:
    """What the matrix asks of a peer, with opaque ids of SAs: a daemon in a GuestRoot. A subclass says `sa_ids`."""

    def wait_up(self, timeout=15, name=None):
        until(f"the peer's {name} is up", lambda: self.ids("child", name), timeout)

    def wait_down(self, timeout=15, name=None):
        until(f"the peer's {name} is gone", lambda: not self.ids("ike", name), timeout)

    def log_tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
