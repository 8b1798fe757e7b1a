# SPDX-License-Identifier: Apache-2.0
"""bgp_speaker: our BGP and BFD cores on real sockets (tests/bgp/speaker.c), started for a session and read."""

import os
import signal
from pathlib import Path

from lab import until

from bgp_peer import OUR_V4, OUR_V6, OURS, RESTART, ROLES

SPEAKER = Path(os.environ["TWINBORE_BUILD"]) / "tests" / "bgp" / "bgp_speaker"
OPPOSITE = {"provider": "customer", "customer": "provider", "rs-server": "rs-client", "rs-client": "rs-server",
            "peer": "peer"}


class Speaker:
    def __init__(self, world, ns, spec, *options, routes=(OUR_V4, OUR_V6)):
        self.world, self.ns, self.spec = world, ns, spec
        self.fifo = world.dir / f"commands{world.serial()}"
        os.mkfifo(self.fifo)
        argv = [SPEAKER, spec.ours, spec.theirs, spec.our_as, spec.their_as, "--families", spec.families,
                "--next-hop", OURS[6], "--next-hop", "none4" if spec.next_hop_6 else OURS[4], "--retry", 1]
        if spec.opener == "theirs":
            argv.append("--passive")
        if spec.password and "--password" not in options:
            argv += ["--password", spec.password]
        if spec.ttl_security:
            argv += ["--ttl-security", 1]
        if spec.restart:
            argv += ["--restart", RESTART]
        if spec.bfd_ms:
            argv += ["--bfd", spec.bfd_ms]
        if spec.role and "--role" not in options:
            argv += ["--role", ROLES[OPPOSITE[spec.role]]]
        if spec.add_path:
            argv.append("--add-path")
        self.argv = argv + [*options, *(r for r in routes if (":" in r and "6" or "4") in spec.families)]
        self.start()

    def start(self, *more):
        self.process = self.world.spawn([*self.argv, "--commands", self.fifo, *more], self.ns)

    def crash(self):
        self.process.kick(signal.SIGKILL)
        self.process.wait()

    def tell(self, line):
        with open(self.fifo, "w", encoding="ascii") as f:
            f.write(line + "\n")

    @property
    def lines(self):
        return self.process.text.splitlines()

    def all(self, begin):
        return [x for x in self.lines if x.startswith(begin)]

    def count(self, begin):
        return len(self.all(begin))

    def last(self, begin):
        return ([""] + self.all(begin))[-1]

    def wait(self, begin, n=1, timeout=30):
        """The n-th line that begins so."""
        return until(f"{n} times \"{begin}\" of ours", lambda: self.all(begin)[n - 1:n], timeout)[0]

    def wait_any(self, text, timeout=30):
        """A line with the text anywhere."""
        return until(f"\"{text}\" of ours", lambda: [x for x in self.lines if text in x], timeout)[0]

    def show(self):
        n = self.count("show")
        self.tell("show")
        return self.wait("show", n + 1)
