# SPDX-License-Identifier: Apache-2.0
"""rows: what the matrix tries with every peer, one row a case.

Most rows are not written but chosen: for every two options, each pair of their values stands in some
row (pairwise coverage). What needs a step of its own is written out below.
"""

import itertools
from dataclasses import dataclass, field

DH_NAMES = {2: "modp1024", 5: "modp1536", 14: "modp2048", 15: "modp3072", 16: "modp4096", 17: "modp6144",
            18: "modp8192", 19: "ecp256", 20: "ecp384", 21: "ecp521", 22: "modp1024s160", 23: "modp2048s224",
            24: "modp2048s256", 31: "x25519", 32: "x448"}

# A cipher with its integrity algorithm, for IKE and for ESP.
CIPHERS = (("aes-128-gcm-16", None), ("aes-256-gcm-16", None), ("aes-128-cbc", "sha2-256"),
           ("aes-256-cbc", "sha2-384"), ("aes-256-cbc", "sha2-512"), ("chacha20-poly1305", None))
KEMS = ("ml-kem-512", "ml-kem-768", "ml-kem-1024")
PRF_OF_AEAD = {"aes-128-gcm-16": "sha2-256", "aes-256-gcm-16": "sha2-384", "chacha20-poly1305": "sha2-512"}
GROUPS = (14, 15, 16, 19, 20, 21, 31)
AUTHS = ("psk", "rsa", "ecdsa", "ed25519")
PATHS = ("direct", "nat-ours", "nat-theirs")
FAMILIES = ("v4", "v6")
ROLES = ("initiator", "responder")
ENDERS = ("ours", "theirs")  # who deletes at the end

# The option space of the best known cloud's tunnels. With GCM the phase 1 integrity names the PRF.
AWS_ENCRYPTION = ("aes-128-cbc", "aes-256-cbc", "aes-128-gcm-16", "aes-256-gcm-16")
AWS_INTEGRITY = ("sha1", "sha2-256", "sha2-384", "sha2-512")
AWS_GROUPS_1 = (2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)
AWS_GROUPS_2 = (2, 5) + AWS_GROUPS_1[1:]


@dataclass
class Row:
    """One tunnel. `role`: whether Twinbore initiates. `auth`: how Twinbore authenticates, and strongSwan too
    unless `their_auth` says otherwise. `fragments`: who must cut long messages, `ours`, `theirs`, `both`
    or `none`; empty: whoever wants to. `kem` and `esp_kem`: the additional key exchange
    of the IKE SA and of the child. `ppk`: who has the post-quantum pre-shared key, `both`, `ours` or `theirs`; it is used
    where both have it. `inner`: what the tunnel carries. `ours`: keys of our tunnel; `theirs` and
    `child`: of strongSwan's connection and its child. `steps`: names of further acts (steps.py)."""

    name: str
    role: str = "initiator"
    auth: str = "psk"
    ike: tuple = ("aes-256-gcm-16", None, "sha2-384", 31)  # encryption, integrity, PRF, group
    esp: tuple = ("aes-256-gcm-16", None, 31)              # encryption, integrity, PFS group
    path: str = "direct"
    family: str = "v4"
    ender: str = "ours"
    esn: bool = False
    their_auth: str = ""
    fragments: str = ""
    kem: str = ""
    esp_kem: str = ""
    ppk: str = ""
    inner: tuple = ("v4", "v6")
    ours: dict = field(default_factory=dict)
    theirs: dict = field(default_factory=dict)
    child: dict = field(default_factory=dict)
    steps: tuple = ()
    number: int = 0

    COLUMNS = ("row", "role", "auth", "ike", "esp", "path", "outer", "delete", "more")

    def cells(self):
        auth = self.auth + (f"/{self.their_auth}" if self.their_auth else "")
        more = list(self.steps) + [f"{k}:{v}" for k, v in (("fragments", self.fragments), ("ppk", self.ppk)) if v]
        return (self.name, self.role, auth, proposal(*self.ike, self.kem), proposal(self.esp[0], self.esp[1], None, self.esp[2], self.esp_kem) +
                ("-esn" if self.esn else ""), self.path, self.family, self.ender, " ".join(more))


# ------------------------------------------------------------ in strongSwan's words

def cipher_word(name):
    if name == "chacha20-poly1305":
        return "chacha20poly1305"
    family, bits, mode, *tag = name.split("-")
    return f"{family}{bits}" + {"gcm": "gcm", "gmac": "gmac", "cbc": ""}[mode] + (tag[0] if tag else "")


def hash_word(name):
    return "sha" + name.removeprefix("sha2-").removeprefix("sha")


def proposal(encr, integ, prf, dh, kem=""):
    """As swanctl.conf writes it: aes256-sha384-prfsha384-ecp384."""
    parts = [cipher_word(encr)]
    if integ:
        parts.append(hash_word(integ))
    if prf:
        parts.append("prf" + hash_word(prf))
    if dh:
        parts.append(DH_NAMES[dh])
    if kem:
        parts.append("ke1_" + kem.replace("-", ""))
    return "-".join(parts)


def shown_by_strongswan(encr, integ, prf, dh, kem=""):
    """As list-sa shows what was chosen."""
    shown = {"ake1": kem.upper().replace("-", "_") or None}
    if encr == "chacha20-poly1305":
        shown["encr-alg"] = "CHACHA20_POLY1305"
    else:
        _, bits, mode, *tag = encr.split("-")
        shown["encr-alg"] = {"cbc": "AES_CBC", "gcm": f"AES_GCM_{tag[0] if tag else ''}",
                             "gmac": "NULL_AES_GMAC"}[mode]
        shown["encr-keysize"] = bits
    if integ:
        shown["integ-alg"] = {"sha1": "HMAC_SHA1_96", "sha2-256": "HMAC_SHA2_256_128",
                              "sha2-384": "HMAC_SHA2_384_192", "sha2-512": "HMAC_SHA2_512_256"}[integ]
    if prf:
        shown["prf-alg"] = "PRF_HMAC_" + {"sha1": "SHA1"}.get(prf, prf.upper().replace("-", "_"))
    if dh:
        name = DH_NAMES[dh]
        shown["dh-group"] = {"x25519": "CURVE_25519", "x448": "CURVE_448"}.get(name)
        if not shown["dh-group"]:
            kind, _, bits = name.partition("modp") if name.startswith("modp") else name.partition("ecp")
            shown["dh-group"] = ("MODP_" if name.startswith("modp") else "ECP_") + bits.replace("s", "_")
    return shown


def shown_by_libreswan(ike, esp):
    """As `ipsec status` begins the suites; integrity is the PRF's hash where there is any."""
    def cipher(encr):
        if encr == "chacha20-poly1305":
            return "CHACHA20_POLY1305_256"
        _, bits, mode, *tag = encr.split("-")
        return f"AES_{mode.upper()}_{'16_' if tag else ''}{bits}"

    integ = {"sha2-256": "HMAC_SHA2_256_128", "sha2-384": "HMAC_SHA2_384_192", "sha2-512": "HMAC_SHA2_512_256"}
    group = f"DH{ike[3]}" if ike[3] >= 19 else DH_NAMES[ike[3]].upper()
    return {"IKE": f"{cipher(ike[0])}-HMAC_{ike[2].upper().replace('-', '_')}-{group}",
            "ESP": f"{cipher(esp[0])}-{integ.get(esp[1], 'NONE')}"}


def shown_by_us(encr, integ, prf, dh, kem="", esn=False):
    parts = [encr] + ([integ] if integ else []) + ([f"prf-{prf}"] if prf else []) + ([f"dh-{dh}"] if dh else [])
    parts += [f"ke1-{kem}"] if kem else []
    return "/".join(parts + (["esn"] if esn else []))


# ------------------------------------------------------------ the choice

def covering(options, strength=2, but=()):
    """Rows (dictionaries) such that for every `strength` options each combination of their values is in
    one. Greedy and without chance: the same table every time. `but`: sets of options that need not
    meet."""
    names = list(options)
    groups = [g for g in itertools.combinations(names, strength) if not any(set(b) <= set(g) for b in but)]
    missing = {g: set(itertools.product(*(options[n] for n in g))) for g in groups}
    rows, turn = [], 0
    while any(missing.values()):
        group = max(groups, key=lambda g: len(missing[g]))
        row = dict(zip(group, min(missing[group], key=str)))
        for n in sorted((n for n in names if n not in row), key=lambda n: -len(options[n])):
            turn += 1
            values = options[n][turn % len(options[n]):] + options[n][:turn % len(options[n])]

            def gain(v):
                known = {**row, n: v}
                return sum(tuple(known[x] for x in g) in missing[g] for g in groups
                           if n in g and all(x in known for x in g))

            row[n] = max(values, key=gain)
        for g in groups:
            missing[g].discard(tuple(row[n] for n in g))
        rows.append(row)
    return rows


def uncovered(rows, options, strength=2, but=()):
    """Combinations that stand in no row; what covering() makes has none."""
    return [(g, c) for g in itertools.combinations(options, strength) if not any(set(b) <= set(g) for b in but)
            for c in itertools.product(*(options[n] for n in g))
            if not any(tuple(r[n] for n in g) == c for r in rows)]


def suite_options():
    return {"ike": CIPHERS, "dh": GROUPS, "esp": CIPHERS, "pfs": GROUPS + (None,), "auth": AUTHS, "path": PATHS,
            "family": FAMILIES, "role": ROLES, "ender": ENDERS}


def suite_rows(strength):
    rows = []
    for n, r in enumerate(covering(suite_options(), strength), 1):
        encr, integ = r["ike"]
        rows.append(Row(f"s{n}", r["role"], r["auth"], (encr, integ, integ or PRF_OF_AEAD[encr], r["dh"]),
                        (*r["esp"], r["pfs"]), r["path"], r["family"], r["ender"]))
    return rows


def aws_options():
    return {"encr1": AWS_ENCRYPTION, "integ1": AWS_INTEGRITY, "dh1": AWS_GROUPS_1, "encr2": AWS_ENCRYPTION,
            "integ2": AWS_INTEGRITY, "dh2": AWS_GROUPS_2, "role": ROLES, "path": PATHS[:2]}


def aws_rows(full):
    but = () if full else (("dh1", "dh2"),)
    rows = []
    for n, r in enumerate(covering(aws_options(), but=but), 1):
        aead1, aead2 = "gcm" in r["encr1"], "gcm" in r["encr2"]
        rows.append(Row(f"aws{n}", r["role"], "psk", (r["encr1"], None if aead1 else r["integ1"], r["integ1"], r["dh1"]),
                        (r["encr2"], None if aead2 else r["integ2"], r["dh2"]), r["path"],
                        ender=ENDERS[n % 2]))
    return rows


def algorithm_rows():
    """Values that the pairs do not hold."""
    rows = [Row(f"ike-{encr}", ("initiator", "responder")[n % 2], ike=(encr, None, "sha2-256", 19))
            for n, encr in enumerate(f"aes-{bits}-gcm-{tag}" for bits in (128, 192, 256) for tag in (8, 12, 16))]
    rows += [Row(f"esp-{encr}", ("responder", "initiator")[n % 2], esp=(encr, None, 19))
             for n, encr in enumerate(f"aes-{bits}-gcm-{tag}" for bits in (128, 192, 256) for tag in (8, 12, 16))]
    rows += [Row("aes-192-cbc", ike=("aes-192-cbc", "sha2-256", "sha2-256", 31), esp=("aes-192-cbc", "sha2-256", 31)),
             Row("sha1", "responder", ike=("aes-128-cbc", "sha1", "sha1", 14), esp=("aes-128-cbc", "sha1", 14)),
             Row("x448", ike=("aes-256-gcm-16", None, "sha2-512", 32), esp=("aes-256-gcm-16", None, 32))]
    return rows


def auth_rows():
    """Kinds of keys and chains that the pairs do not hold, and what may be on one side alone."""
    rows = [Row(f"{kind}-{role}", role, kind, family=family)
            for kind in ("rsa-4096", "rsa-pss", "ecdsa-384", "ecdsa-521", "ed448", "chain", "raw-ecdsa", "raw-ed25519", "raw-rsa")
            for role, family in zip(ROLES, FAMILIES)]
    return rows + [
        Row("psk-by-us", "initiator", "psk", their_auth="ecdsa"),
        Row("psk-by-them", "responder", "rsa", their_auth="psk"),
        Row("twins", "initiator", "ecdsa", steps=("twin",)),
        Row("twins-nat", "initiator", "ed25519", path="nat-ours", steps=("twin",)),
        Row("certificate-nat", "initiator", "rsa", path="nat-ours", family="v6"),
    ]


def fragment_rows():
    """strongSwan cuts at 600 bytes in all rows; ours cuts at 1280 unless the row says otherwise."""
    return [
        Row("fragments-rsa", auth="rsa-4096", fragments="both"),
        Row("fragments-rsa-theirs", "responder", "rsa-4096", path="nat-ours", fragments="both"),
        Row("fragments-small", auth="ecdsa", ours={"fragment_size": 256}, family="v6", fragments="both"),
        Row("fragments-ours", "responder", ours={"fragment_size": 256}, fragments="ours"),
        Row("no-fragments", auth="ecdsa", ours={"fragmentation": False}, theirs={"send_certreq": "no"}, fragments="none"),
        Row("no-fragments-theirs", "responder", "ecdsa", ours={"fragment_size": 256},
            theirs={"fragmentation": "no", "send_certreq": "no"}, fragments="none"),
    ]


def feature_rows():
    return [
        Row("no-pfs", esp=("aes-256-gcm-16", None, None)),
        Row("no-pfs-theirs", "responder", esp=("aes-128-cbc", "sha2-256", None), ender="theirs"),
        Row("udp-forced", ours={"udp_encapsulation": "force", "udp_port_entropy": True}),  # the peer does not agree
        Row("udp-forced-theirs", "responder", theirs={"encap": "yes"}),
        Row("dpd", ours={"dpd": {"interval": "500ms", "timeout": "2s", "action": "clear"}},
            theirs={"dpd_delay": "1s"}, steps=("dead-peer",)),
        Row("dpd-behind-nat", "responder", path="nat-theirs",
            ours={"dpd": {"interval": "500ms", "timeout": "2s", "action": "clear"}},
            theirs={"dpd_delay": "1s"}, steps=("dead-peer",)),
        Row("child-alone", steps=("child-delete-theirs",)),
        Row("rekeys", steps=("many-rekeys",)),
    ]


def ppk_rows():
    """Post-quantum pre-shared keys (RFC 8784)."""
    return [
        Row("ppk", ppk="both"),
        Row("ppk-theirs", "responder", ppk="both", steps=("many-rekeys",)),
        Row("ppk-certificates", auth="ecdsa", path="nat-ours", ppk="both"),
        Row("ppk-certificates-theirs", "responder", "rsa", family="v6", ppk="both"),
        Row("ppk-ours-alone", ppk="ours"),
        Row("ppk-ours-alone-theirs", "responder", "ecdsa", ppk="ours"),
        Row("ppk-theirs-alone", ppk="theirs"),
        Row("ppk-theirs-alone-theirs", "responder", "ecdsa", ppk="theirs"),
    ]


def kernel_options():
    """What only a peer with a kernel's ESP speaks: native ESP, extended sequence numbers."""
    return {"esp": CIPHERS, "esn": (True, False), "pfs": (31, None), "path": PATHS, "family": FAMILIES,
            "role": ROLES, "window": ("32", "1024"), "ender": ENDERS}


def kernel_rows(strength):
    rows = []
    for n, r in enumerate(covering(kernel_options(), strength), 1):
        rows.append(Row(f"k{n}", r["role"], "psk", esp=(*r["esp"], r["pfs"]), path=r["path"], family=r["family"], ender=r["ender"],
                        esn=r["esn"], child={"replay_window": r["window"]}))
    return rows + [
        Row("k-gcm-8", esp=("aes-128-gcm-8", None, None), esn=True),
        Row("k-gcm-12", "responder", esp=("aes-192-gcm-12", None, None), esn=True),
        Row("k-sha1", esp=("aes-128-cbc", "sha1", None), esn=True),
        Row("k-udp-forced", esn=True, ours={"udp_encapsulation": "force"}),
        Row("k-udp-forced-theirs", "responder", theirs={"encap": "yes"}),
        Row("k-gmac-128", esp=("aes-128-gmac", None, None), esn=True),
        Row("k-gmac-192", "responder", esp=("aes-192-gmac", None, 31), path="nat-ours"),
        Row("k-gmac-256", esp=("aes-256-gmac", None, 31), family="v6", ender="theirs"),
        Row("k-rekeys", esn=True, steps=("many-rekeys",)),
        Row("k-rekeys-cbc", "responder", esp=("aes-256-cbc", "sha2-512", None), family="v6", steps=("many-rekeys",)),
    ]


def mobile_rows(full):
    """Outer addresses that change under an IKE SA (MOBIKE, RFC 4555), by turns and with a NAT that comes and goes."""
    def row(name, role, step, **kw):
        return Row(name, role, ours={"dpd": {"interval": "300ms", "timeout": "10s", "action": "clear"}},
                   theirs={"mobike": "yes"}, steps=(step,), **kw)

    rows = [
        row("we-move-responder", "responder", "we-move"),
        row("we-move-behind-nat", "initiator", "we-move-behind-nat", esp=("aes-256-cbc", "sha2-256", 31)),
        row("peer-moves", "responder", "peer-moves"),
        row("peer-moves-responder", "initiator", "peer-moves"),
        row("nat-appears", "initiator", "nat-appears"),
    ]
    return rows + [
        row("we-move", "initiator", "we-move"),
        row("we-move-v6", "initiator", "we-move", family="v6", auth="ecdsa"),
        row("peer-moves-v6", "responder", "peer-moves", family="v6", auth="ecdsa"),
        row("nat-remaps", "initiator", "nat-remaps", path="nat-ours"),
    ] if full else rows


def kem_rows():
    """Additional key exchanges (RFC 9370) with a strongSwan that has them."""
    rows = [Row(f"{kem}-{role}", role, kem=kem, esp_kem=kem, family=family)
            for kem in KEMS for role, family in zip(ROLES, FAMILIES)]
    preferred = {"ike": {"pq": "prefer"}}
    return rows + [
        Row("kem-p-384", auth="ecdsa", ike=("aes-256-cbc", "sha2-384", "sha2-384", 20), kem="ml-kem-1024"),
        Row("kem-p-256", "responder", "rsa", ike=("aes-128-cbc", "sha2-256", "sha2-256", 19), kem="ml-kem-768"),
        Row("kem-nat", path="nat-ours", kem="ml-kem-768"),
        Row("kem-nat-theirs", "responder", path="nat-ours", kem="ml-kem-1024", ender="theirs"),
        Row("kem-fragments", ours={"fragment_size": 256}, kem="ml-kem-1024", fragments="both"),
        Row("kem-fragments-theirs", "responder", ours={"fragment_size": 256}, kem="ml-kem-1024", fragments="both"),
        Row("kem-no-fragments", theirs={"fragmentation": "no"}, kem="ml-kem-768", fragments="none"),
        Row("kem-rekeys", kem="ml-kem-768", esp_kem="ml-kem-768", steps=("many-rekeys",)),
        Row("kem-child-alone", esp=("aes-128-cbc", "sha2-256", 19), esp_kem="ml-kem-768"),
        Row("kem-child-alone-theirs", "responder", esp=("chacha20-poly1305", None, 20), esp_kem="ml-kem-512"),
        Row("kem-child-preferred", kem="ml-kem-768", esp_kem="ml-kem-1024", ours={"esp": {"pq": "prefer"}}),
        Row("kem-child-without", "responder", kem="ml-kem-768", ours={"esp": {"pq": "prefer"}}),
        Row("kem-preferred", ours=preferred, kem="ml-kem-768"),
        Row("kem-preferred-theirs", "responder", ours=preferred, kem="ml-kem-768"),
        Row("kem-done-without", ours=preferred),
        Row("kem-done-without-theirs", "responder", ours=preferred),
    ]


def libreswan_rows(full):
    """libreswan, whose children carry one family each."""
    def row(name, role, ike, esp, **kw):
        encr, integ, dh = ike
        return Row(f"lsw-{name}", role, ike=(encr, integ, integ or "sha2-384", dh), esp=esp, inner=("v4",), **kw)

    gcm, cbc = ("aes-256-gcm-16", None), ("aes-256-cbc", "sha2-512")
    rows = [
        row("gcm", "initiator", (*gcm, 31), (*gcm, 31), esn=True),
        row("cbc-responder", "responder", (*cbc, 20), (*cbc, 20), ender="theirs"),
        row("certificate", "initiator", (*gcm, 19), ("aes-128-gcm-16", None, 19), auth="ecdsa"),
        row("certificate-responder", "responder", (*gcm, 14), (*gcm, 14), auth="rsa", family="v6"),
        row("nat", "initiator", (*cbc, 31), ("aes-128-cbc", "sha2-256", 31), path="nat-ours"),
        row("dpd", "responder", (*gcm, 31), (*gcm, 31), steps=("dead-peer",),
            ours={"dpd": {"interval": "500ms", "timeout": "2s", "action": "clear"}},
            theirs={"dpddelay": "1", "dpdtimeout": "3", "dpdaction": "clear", "retransmit-timeout": "3s"}),
    ]
    return rows + [
        row("chacha", "responder", (*gcm, 21), ("chacha20-poly1305", None, 21), esn=True),
        row("no-pfs", "initiator", (*cbc, 15), (*gcm, None)),
        row("no-pfs-responder", "responder", (*cbc, 16), (*cbc, None), path="nat-theirs"),
        row("child-alone", "initiator", (*gcm, 31), (*gcm, 31), steps=("child-delete-theirs",)),
        row("rekeys", "initiator", (*gcm, 31), (*gcm, 31), steps=("many-rekeys",)),
    ] if full else rows


def table(peer, full=False):
    if peer == "kernel":
        return kernel_rows(3 if full else 2)
    if peer == "libreswan":
        return libreswan_rows(full)
    if peer == "mobile":
        return mobile_rows(full)
    if peer == "kem":
        return kem_rows()
    return (suite_rows(3 if full else 2) + aws_rows(full) + algorithm_rows() + auth_rows() + fragment_rows() +
            feature_rows() + ppk_rows())
