# SPDX-License-Identifier: Apache-2.0
"""bgp_peers: all implementations that bgp.py knows."""

from bgp_bird import Bird
from bgp_exabgp import Exabgp
from bgp_frr import Frr
from bgp_gobgp import Gobgp
from bgp_openbgpd import Openbgpd

PEERS = {p.NAME: p for p in (Bird, Frr, Gobgp, Openbgpd, Exabgp)}
