# SPDX-License-Identifier: Apache-2.0
"""lab: real gateways on this machine, in network namespaces that a test makes and removes.

A test opens a World, builds a topology of namespaces in it, starts gateways (Twinbore or
strongSwan) and traffic, and asserts what the wire, the gateways and the traffic say. Everything
that a World made goes when it is left: normally, by an exception, by Ctrl-C or by SIGTERM. Logs
stay when something failed.

Invariants
  - Nothing outside the namespaces is changed: no address, route, rule or module of the machine.
  - Names carry the process id of the run, so that runs do not meet; what a killed run left behind
    is removed by the next.
  - Processes are ended by the ids that the World holds.
  - Only the Python standard library, and tools of the base system: ip, nft, ethtool, tcpdump, curl.

  world.py     World, Process          net.py        Namespace, link, router, NAT, cut
  topology.py  two sites and a WAN     twinbore.py   a Twinbore gateway
  strongswan.py  a strongSwan gateway  vici.py       its control socket
  uml.py       a guest with its own kernel
  stream.py    a numbered UDP stream: loss, gaps
  flows.py     the same from sockets of the test itself, each direction for itself
  volleys.py   hundreds of numbered packets at once, and their order
  feed.py      a whole table by BGP through a tunnel
  fetch.py     HTTP with a SHA-256     wire.py       capture, and what may be on the wire
  mutate.py    damaged packets         tap.py        test output
"""

from .net import Namespace, cut, heal, link, nat
from .tap import Skip, Tap, need
from .world import LabError, Process, World, until

__all__ = ["Namespace", "Process", "LabError", "Skip", "Tap", "World", "cut", "heal", "link", "nat", "need",
           "until"]
