#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The BGP and BFD cores against BIRD, FRR, GoBGP, OpenBGPD and ExaBGP: each goes through the scenes of bgp_rows.py
with our speaker, on a link of their own; a row a case. Scenes run beside each other.

usage: bgp.py [--full] [--list] [--jobs N] [PEER[:SCENE]...]

PEER and SCENE pick scenes; * stands for anything. --full (or TWINBORE_FULL=1) takes every scene with every peer that
can; otherwise each peer and each scene are there, but not each pair."""

import argparse
import fnmatch
import functools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, need  # noqa: E402

import plays  # noqa: E402
from bgp_peers import PEERS  # noqa: E402
from bgp_rows import SCENES, Trial  # noqa: E402

# Of the scenes that are not each peer's by default.
DEFAULT = {"*": ("plain",), "bird": ("accepted", "md5", "roles", "add-path", "extended", "their-limit"),
           "frr": ("restart", "bfd", "next-hop-6"), "gobgp": ("internal", "gtsm"), "openbgpd": ("accepted", "our-limit"),
           "exabgp": ("both",)}


def pairs(full):
    for name, peer in PEERS.items():
        for scene, (_, needs) in SCENES.items():
            wanted = full or scene in DEFAULT["*"] + DEFAULT[name]
            if wanted and (not needs or needs in peer.CAN):
                yield name, scene


def main():
    options = argparse.ArgumentParser(description="Our BGP core and five others.")
    options.add_argument("--full", action="store_true", default=bool(os.environ.get("TWINBORE_FULL")))
    options.add_argument("--list", action="store_true")
    options.add_argument("--jobs", type=int, default=0)
    options.add_argument("names", nargs="*", metavar="PEER[:SCENE]")
    o = options.parse_args()
    wanted = list(pairs(o.full or bool(o.names)))
    if o.names:
        wanted = [w for w in wanted if any(fnmatch.fnmatch(":".join(w), n if ":" in n else n + ":*") for n in o.names)]
    if o.list:
        for name, scene in wanted:
            print(f"{name:<9} {scene}")
        return 0
    need("ip", "nft", *{n for name, _ in wanted for n in PEERS[name].NEEDS})
    return plays.run(Tap(), [(f"{name:<9} {scene:<12}", "bgp", functools.partial(Trial, kind=PEERS[name]), SCENES[scene][0])
                             for name, scene in wanted], o.jobs)


if __name__ == "__main__":
    sys.exit(main())
