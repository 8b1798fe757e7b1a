# SPDX-License-Identifier: Apache-2.0
"""ground: where the matrix stands: one Twinbore and one strongSwan, and for every row of the table a
tunnel between them with outside addresses, identity and networks of its own.

    host-a -- gw-a (Twinbore) -- wan -- gw-b (strongSwan) -- host-b

So no process starts or reloads between rows. The router in the middle is also the NAT: some outside
addresses exist behind it only, and the peer knows them by another. In a row's addresses its number
stands for N, ours are the same for all rows:

            ours                        theirs
    direct      192.0.2.1  2001:db8:a::1    198.51.100.N           2001:db8:b::N
    after a move 192.0.2.3 2001:db8:a::3    198.51.100.1           2001:db8:b::1
    behind NAT  10.99.1.2  fd99::2          10.98.0.N              fd98::N
    public      203.0.113.1 2001:db8:c::1   203.0.113.N            2001:db8:c::N
    networks    10.1.N.0/24 2001:db8:1:N::/64    10.2.N.0/24       2001:db8:2:N::/64
"""

import dataclasses
import re
from types import SimpleNamespace

from lab.net import Namespace, link, silent
from lab.strongswan import PSK
from lab.topology import Site, Sites, Side
import keys as kinds
from rows import proposal

OUTSIDE = ["192.0.2.1", "192.0.2.3", "10.99.1.2", "2001:db8:a::1", "2001:db8:a::3", "fd99::2"]
FIRST = 10  # N of the first row: what is below are routers and gateways
MOST_ROWS = 240
PPK, PPK_ID = "another key of the lab, for the time after next", "ppk.example.net"

# An inner pair of addresses next to each other anywhere in a packet; see wire.judge().
INNER = [re.compile(p, re.DOTALL) for p in (
    rb"\x0a\x01.\x0a\x0a\x02.\x0a", rb"\x0a\x02.\x0a\x0a\x01.\x0a",
    rb"\x20\x01\x0d\xb8\x00\x01.{10}\x20\x01\x0d\xb8\x00\x02", rb"\x20\x01\x0d\xb8\x00\x02.{10}\x20\x01\x0d\xb8\x00\x01")]


def places(row):
    """Addresses of a row: `local` and `public` of both sides, their hosts and networks."""
    n = FIRST + row.number
    six = row.family == "v6"
    ours = ("2001:db8:a::1", "2001:db8:a::1") if six else ("192.0.2.1", "192.0.2.1")
    theirs = (f"2001:db8:b::{n:x}",) * 2 if six else (f"198.51.100.{n}",) * 2
    if row.path == "nat-ours":
        ours = ("fd99::2", "2001:db8:c::1") if six else ("10.99.1.2", "203.0.113.1")
    if row.path == "nat-theirs":
        theirs = (f"fd98::{n:x}", f"2001:db8:c::{n:x}") if six else (f"10.98.0.{n}", f"203.0.113.{n}")

    def carried(*both):
        return [x for family, x in zip(("v4", "v6"), both) if family in row.inner]

    return SimpleNamespace(
        n=n, our_local=ours[0], our_public=ours[1], their_local=theirs[0], their_public=theirs[1],
        our_hosts=carried(f"10.1.{n}.10", f"2001:db8:1:{n:x}::10"), their_hosts=carried(f"10.2.{n}.10", f"2001:db8:2:{n:x}::10"),
        our_networks=carried(f"10.1.{n}.0/24", f"2001:db8:1:{n:x}::/64"),
        their_networks=carried(f"10.2.{n}.0/24", f"2001:db8:2:{n:x}::/64"),
        our_other="2001:db8:a::3" if six else "192.0.2.3", our_nat="fd99::2" if six else "10.99.1.2",
        our_nat_public="2001:db8:c::1" if six else "203.0.113.1", their_other="2001:db8:b::1" if six else "198.51.100.1",
        our_id=kinds.OUR_ID, their_id=kinds.their_id(kinds.of(row)) if kinds.of(row) else f"{row.name}.example.net")


def twin_of(row):
    """A tunnel between the same identities, for the rows that want two of them."""
    return dataclasses.replace(row, name=f"{row.name}-other", role="initiator", steps=())


class Ground:
    """The namespaces for up to MOST_ROWS rows and their twins. `a` and `b` are sites as of topology.py."""

    def __init__(self, world, rows, kernel=True):
        assert FIRST + len(rows) <= 254
        self.rows = rows
        wan, gw_a, gw_b, host_a, host_b = (Namespace(world, n, forward=n == "wan" or (n == "gw-b" and kernel))
                                           for n in ("wan", "gw-a", "gw-b", "host-a", "host-b"))
        silent(wan)
        link(wan, "to-a", gw_a, "eth0")
        link(wan, "to-b", gw_b, "eth0")
        link(gw_a, "eth1", host_a, "eth0")
        link(gw_b, "eth1", host_b, "eth0")
        wan.address("to-a", "192.0.2.254/24", "10.99.1.254/24", "2001:db8:a::fffe/64", "fd99::fffe/64")
        wan.address("to-b", "198.51.100.254/24", "10.98.0.254/24", "2001:db8:b::fffe/64", "fd98::fffe/64")
        places_ = [places(r) for r in rows]
        host_a.address("eth0", "10.1.0.9/16", "2001:db8:1::9/48")
        host_b.address("eth0", "10.2.0.9/16", "2001:db8:2::9/48")
        self._batch(host_a, "eth0", [f"{h}/{48 if ':' in h else 16}" for p in places_ for h in p.our_hosts])
        self._batch(host_b, "eth0", [f"{h}/{48 if ':' in h else 16}" for p in places_ for h in p.their_hosts])
        for host, x in ((host_a, 1), (host_b, 2)):
            host.route("default", f"10.{x}.0.1")
            host.route("default", f"2001:db8:{x}::1")
        self._nat(wan, places_)
        self.a = Site("a", 1, Side(), host_a, gw_a, OUTSIDE, [], 24,
                      "192.0.2.254", wan, "to-a")
        self.b = Site("b", 2, Side(kernel=kernel), host_b, gw_b, [], [], 24, "198.51.100.254", wan, "to-b")
        self.wan = wan
        if kernel:
            self._ip(gw_b, self.peer_addresses())

    @property
    def wires(self):
        return [self.a.wire, self.b.wire]

    def peer_addresses(self):
        """`ip` commands that give the peer's gateway its addresses; its interfaces are eth0 and eth1."""
        lines = ["addr add 10.2.0.1/16 dev eth1", "addr add 2001:db8:2::1/48 dev eth1 nodad",
                 "addr add 198.51.100.1/24 dev eth0", "addr add 2001:db8:b::1/64 dev eth0 nodad",
                 "route add default via 198.51.100.254", "route add ::/0 via 2001:db8:b::fffe"]
        for p in map(places, self.rows):
            length = 64 if ":" in p.their_local else 24
            lines.append(f"addr add {p.their_local}/{length} dev eth0" + (" nodad" if length == 64 else ""))
            # strongSwan's routes want an own address within the network.
            lines.append(f"addr add 10.2.{p.n}.1/16 dev eth1")
            lines.append(f"addr add 2001:db8:2:{p.n:x}::1/48 dev eth1 nodad")
        return lines

    @staticmethod
    def _ip(ns, lines):
        ns.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")

    def _batch(self, ns, ifname, addresses):
        self._ip(ns, [f"addr add {a} dev {ifname}" + (" nodad" if ":" in a else "") for a in addresses])

    @staticmethod
    def _nat(wan, places_):
        behind = [p for p in places_ if p.their_local != p.their_public]
        text = ""
        for family, six, ours, outside in (("ip", False, "10.99.1.2", "203.0.113.1"),
                                           ("ip6", True, "fd99::2", "2001:db8:c::1")):
            some = [p for p in behind if (":" in p.their_local) == six]
            out = ", ".join(f"{p.their_local} : {p.their_public}" for p in some)
            back = ", ".join(f"{p.their_public} : {p.their_local}" for p in some)
            text += f"""table {family} nat {{
                chain pre {{ type nat hook prerouting priority -100; policy accept;
                    {family} daddr {outside} udp dport {{ 500, 4500 }} dnat to {ours};
                    {family} daddr {outside} drop;
                    {f"dnat to {family} daddr map {{ {back} }};" if some else ""}
                }}
                chain post {{ type nat hook postrouting priority 100; policy accept;
                    {family} saddr {ours} snat to {outside} random;
                    {f"snat to {family} saddr map {{ {out} }};" if some else ""}
                }}
            }}\n"""
        wan.nft(text)


# ------------------------------------------------------------ configurations

def configure_ours(tb, ground, keys):
    """The gateway's ports and one connection a row."""
    tb.config["ports"] = [
        {"name": "wan", "device": tb.config["ports"][0]["device"],
         "addresses": [f"{a}/{64 if ':' in a else 24}" for a in OUTSIDE],
         "gateway": ["192.0.2.254", "2001:db8:a::fffe"]},
        {"name": "lan", "device": tb.config["ports"][1]["device"], "addresses": ["10.1.0.1/16", "2001:db8:1::1/48"]}]
    psk, ppk = tb.psk("matrix", PSK), tb.psk("ppk", PPK)
    for row in ground.rows:
        p = places(row)
        encr, integ, prf, dh = row.ike
        esp_encr, esp_integ, pfs = row.esp
        tunnel = {"name": row.name, "local_address": p.our_local, "remote_address": p.their_public,
                  "local_id": p.our_id, "remote_id": p.their_id, "psk_file": psk, "startup": "add",
                  "ike": {"encryption": [encr], **({"integrity": [integ]} if integ else {}), "prf": [prf], "dh": [dh],
                          **({"pq": "require", "pq_kem": [row.kem]} if row.kem else {})},
                  "esp": {"encryption": [esp_encr], **({"integrity": [esp_integ]} if esp_integ else {}),
                          "pfs": [pfs] if pfs else "none", "esn": [row.esn],
                          **({"pq": "require", "pq_kem": [row.esp_kem]} if row.esp_kem else {})},
                  "dpd": {"interval": "10s", "timeout": "40s", "action": "clear"}}
        if kinds.of(row):
            tunnel.update(keys.ours(row))
        if row.ppk in ("ours", "both"):
            tunnel["ppk"] = {"id": PPK_ID if row.ppk == "both" else f"unknown.{PPK_ID}", "file": ppk, "required": row.ppk == "both"}
        for k, v in row.ours.items():
            tunnel[k] = {**tunnel[k], **v} if isinstance(v, dict) and k in tunnel else v
        tb.config["connections"].append({"name": row.name, "local_networks": p.our_networks,
                                         "remote_networks": p.their_networks, "tunnels": [tunnel]})


def configure_theirs(charon, ground, keys):
    keys.install(charon)
    charon.secrets["ike-matrix"] = {"secret": f'"{PSK}"'}
    with_ppk = [r for r in ground.rows if r.ppk in ("theirs", "both")]
    if with_ppk:
        charon.secrets["ppk-matrix"] = {"secret": f'"{PPK}"', "id": PPK_ID}
    for row in ground.rows:
        p = places(row)
        esp_encr, esp_integ, pfs = row.esp
        local, remote = keys.theirs(row) if kinds.of(row) else ({"auth": "psk"}, {"auth": "psk"})
        charon.connections[row.name] = {
            "version": "2", "mobike": "no", "dpd_delay": "0s", "rekey_time": "0s", "reauth_time": "0s",
            "keyingtries": "1", "local_addrs": p.their_local, "remote_addrs": p.our_public,
            "proposals": proposal(*row.ike, row.kem),
            **({"ppk_id": PPK_ID, "ppk_required": "yes" if row.ppk == "both" else "no"} if row in with_ppk else {}), **row.theirs,
            "local": {**local, "id": p.their_id}, "remote": {**remote, "id": p.our_id},
            "children": {row.name: {
                "local_ts": ",".join(p.their_networks), "remote_ts": ",".join(p.our_networks), "mode": "tunnel",
                "rekey_time": "0s", "start_action": "none", "dpd_action": "clear",
                "esp_proposals": proposal(esp_encr, esp_integ, None, pfs, row.esp_kem) + ("-esn" if row.esn else ""), **row.child}}}


def in_libreswan_words(encr, integ, dh, prf=None):
    if encr == "chacha20-poly1305":
        word = "chacha20_poly1305"
    else:
        _, bits, mode, *_ = encr.split("-")
        word = f"aes_gcm{bits}" if mode == "gcm" else f"aes{bits}"
    word += "".join("-" + h.replace("-", "_") for h in (integ or prf,) if h)
    return word + (f";dh{dh}" if dh else "")


def configure_libreswan(lsw, ground, keys):
    for kind in sorted({kinds.of(r) for r in ground.rows} - {None}):
        lsw.authorities.append((f"{kind}-ca", keys.path(kind, "ca.crt")))
        lsw.certificates.append((f"{kind}-theirs", keys.pkcs12(kind, "theirs")))
    for row in ground.rows:
        p = places(row)
        encr, integ, prf, dh = row.ike
        esp_encr, esp_integ, pfs = row.esp
        certified = kinds.of(row)
        lsw.connections[row.name] = {
            "ikev2": "insist", "mobike": "no", "auto": "add", "rekey": "no", "fragmentation": "yes",
            "leftupdown": "/bin/true",  # nothing to route: the guest has a default route
            "left": p.their_local, "leftid": f"@{p.their_id}", "leftsubnet": p.their_networks[0],
            "right": p.our_public, "rightid": f"@{p.our_id}", "rightsubnet": p.our_networks[0],
            "ike": in_libreswan_words(encr, integ, dh, prf), "esp": in_libreswan_words(esp_encr, esp_integ, pfs),
            "pfs": "yes" if pfs else "no", "esn": "yes" if row.esn else "no",
            **({"authby": {"rsa": "rsa-sha2", "ecdsa": "ecdsa"}[certified], "leftcert": f"{certified}-theirs",
                "leftsendcert": "always"} if certified else {"authby": "secret"}), **row.theirs}
        if not certified:
            lsw.secrets.append(f'@{p.their_id} @{p.our_id} : PSK "{PSK}"')
