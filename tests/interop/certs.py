#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Twinbore and strongSwan 5.9 prove who they are: by certificates of every kind in both roles, by keys
that are being changed, with a PPK; and what a peer hears that cannot."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import Tap, World, need, until  # noqa: E402
from lab.stream import ping  # noqa: E402
from lab.strongswan import PSK, StrongSwan  # noqa: E402
from lab.topology import Side, two_sites  # noqa: E402
from lab.twinbore import Twinbore, new_psk  # noqa: E402

TUNNEL = "site-b-1"
KEYS = {"rsa": ["--size", "2048"], "ecdsa": ["--size", "256"], "ecdsa-384": ["--size", "384"], "ed25519": []}
AUTH = {"rsa": r"rsa-", "ecdsa": r"ecdsa-sha2-256", "ecdsa-384": r"ecdsa-sha2-384", "ed25519": r"ed25519"}


class Authority:
    """A CA in a folder of the world, with keys of one kind."""

    def __init__(self, world, kind, name=None):
        self.world, self.kind = world, kind
        self.dir = world.dir / f"ca-{name or kind}"
        self.dir.mkdir()
        self.key, self.cert = self.dir / "ca.key", self.dir / "ca.crt"
        self._key(self.key)
        self._pki(self.cert, "--self", "--ca", "--lifetime", "10", "--in", self.key, "--type", self._type,
                  "--dn", f"CN=Lab CA {name or kind}")

    @property
    def _type(self):
        return self.kind.split("-")[0]

    def _pki(self, out, *args, mode=0o644):
        r = self.world.run(["pki", *args, "--outform", "pem"])
        out.touch(mode=mode)
        out.chmod(mode)
        out.write_text(r.stdout)

    def _key(self, path):
        self._pki(path, "--gen", "--type", self._type, *KEYS[self.kind], mode=0o600)

    def issue(self, identity):
        """Key and certificate of a gateway."""
        key, cert, pub = (self.dir / f"{identity}.{s}" for s in ("key", "crt", "pub"))
        self._key(key)
        self._pki(pub, "--pub", "--in", key, "--type", "priv")
        self._pki(cert, "--issue", "--lifetime", "5", "--in", pub, "--type", "pub", "--cacert", self.cert,
                  "--cakey", self.key, "--dn", f"C=DE, O=Lab, CN={identity}", "--san", identity)
        return key, cert


class Pair:
    def __init__(self, sites):
        self.a, self.b = sites.a, sites.b
        self.tb = Twinbore(sites.a)
        self.tunnel = self.tb.connect(
            sites.b, PSK, [(sites.a.outside[0], sites.b.public[0])], startup="add",
            ike={"encryption": ["aes-256-gcm-16"], "prf": ["sha2-384"], "dh": [31]},
            esp={"encryption": ["aes-256-gcm-16"], "pfs": [31], "esn": [False]})["defaults"]
        self.plain = dict(self.tunnel)
        self.ss = CertSwan(sites.b, sites.a)

    def configure(self, **options):
        """Twinbore's options of authentication, in place of those before."""
        self.tunnel.clear()
        self.tunnel.update(self.plain)
        if options.get("auth"):
            del self.tunnel["psk_file"]
        self.tunnel.update(options)
        self.tb.reload()

    def certify(self, ca, **options):
        key, cert = ca.issue(self.a.identity)
        their_key, their_cert = ca.issue(self.b.identity)
        self.ss.certify(ca, their_key, their_cert)
        self.configure(auth="certificate", certificates=[{"certificate": str(cert), "private_key": str(key)}],
                       ca_files=[str(ca.cert)], **options)

    def connect(self, we_begin):
        if we_begin:
            self.tb.up(TUNNEL)
        else:
            self.ss.initiate()
        self.tb.wait_up(TUNNEL)
        self.ss.wait_up()
        assert ping(self.a.host, self.a.host4, self.b.host4)
        return self.tb.sas(TUNNEL, "ike")[0]

    def disconnect(self):
        self.tb.down(TUNNEL)
        self.ss.wait_down()
        until("our IKE SA is gone", lambda: not self.tb.sas(TUNNEL, "ike"))


class CertSwan(StrongSwan):
    auth = "psk"
    more, theirs = {}, {}
    names = None
    ppk = None

    def certify(self, ca, key, cert):
        for folder, path in (("x509ca", ca.cert), ("x509", cert), ("private", key)):
            for old in (self.dir / "swanctl" / folder).iterdir():
                old.unlink()
            (self.dir / "swanctl" / folder / path.name).write_bytes(path.read_bytes())
        self.auth, self.more, self.theirs = "pubkey", {"certs": cert.name}, {}
        self.load()

    def by_raw_key(self, key, own, peer):
        for folder in ("x509", "x509ca", "private", "pubkey"):
            for old in (self.dir / "swanctl" / folder).iterdir():
                old.unlink()
        for folder, path in (("private", key), ("pubkey", own), ("pubkey", peer)):
            (self.dir / "swanctl" / folder / path.name).write_bytes(path.read_bytes())
        self.auth, self.more, self.theirs = "pubkey", {"pubkeys": own.name}, {"pubkeys": peer.name}
        self.load()

    def by_psk(self, psk, **connection):
        self.auth, self.more, self.theirs, self.psk = "psk", {}, {}, psk
        self.connection.update(connection)
        self.load()

    def load(self):
        ours, theirs = (f'"{n}"' for n in self.names) if self.names else (self.site.identity, self.peer.identity)
        self.connections["lab"] = {**self.connection,
                                   "local": {"auth": self.auth, "id": ours, **self.more},
                                   "remote": {"auth": self.auth, "id": theirs, **self.theirs},
                                   "children": {"net": self.child}}
        self.secrets = {"ike-1": {"id-1": self.site.identity, "id-2": self.peer.identity, "secret": f'"{self.psk}"'}}
        if self.ppk:
            self.secrets["ppk-1"] = {"id-1": self.ppk[0], "secret": f'"{self.ppk[1]}"'}
        super(StrongSwan, self).load()


def certificates(tap, p, world):
    for kind in KEYS:
        ca = None
        for we_begin in (True, False):
            role = "initiator" if we_begin else "responder"
            with tap.case(f"certificates, {kind}, {role}") as say:
                if not ca:
                    ca = Authority(world, kind)
                    p.certify(ca)
                sa = p.connect(we_begin)
                say(f"{sa['auth_local']}, {sa['auth_remote']}, {sa['remote_id']}")
                assert re.match(AUTH[kind], sa["auth_local"]) and re.match(AUTH[kind], sa["auth_remote"]), sa
                assert sa["remote_id"] == f"fqdn:{p.b.identity}", sa
                p.disconnect()
            if not tap.last_ok:
                tap.say(p.ss.log.read_text(errors="replace")[-2500:])
                tap.say(p.tb.log[-2500:])
                p.ss.terminate(check=False)


def failures(tap, p, world):
    with tap.case("a peer of another CA is refused, and we say why") as say:
        theirs = Authority(world, "ecdsa", "other")
        p.certify(Authority(world, "ecdsa", "ours"))
        p.ss.certify(theirs, *theirs.issue(p.b.identity))
        try:
            p.ss.initiate(timeout=5)
            raise AssertionError("it came up")
        except Exception as e:  # noqa: BLE001
            if isinstance(e, AssertionError):
                raise
        texts = [e["text"] for e in p.tb.events("auth-failed")]
        say(texts[-1] if texts else "no event")
        assert texts and "believed" in texts[-1], texts
        assert p.ss.log_has(r"received AUTHENTICATION_FAILED|AUTH_FAILED"), "the peer did not hear it"

    with tap.case("a peer with a PSK is no match for a tunnel with certificates") as say:
        p.ss.by_psk(PSK)
        try:
            p.ss.initiate(timeout=5)
            raise AssertionError("it came up")
        except Exception as e:  # noqa: BLE001
            if isinstance(e, AssertionError):
                raise
        text = p.tb.events("auth-failed")[-1]["text"]
        say(text)
        assert "pre-shared key" in text and "certificate" in text, text


def identities(tap, p, world):
    """Other names than a host's, and peers that the configuration knows by a pattern only."""
    ca = Authority(world, "ecdsa", "names")
    names = [f"C=DE, O=Lab, CN={s.identity}" for s in (p.a, p.b)]
    for we_begin in (True, False):
        with tap.case(f"distinguished names, {'initiator' if we_begin else 'responder'}") as say:
            p.ss.names = names[::-1]
            p.certify(ca, local_id=names[0], remote_id=names[1])
            sa = p.connect(we_begin)
            say(sa["remote_id"])
            assert sa["remote_id"] == f"dn:{names[1]}", sa
            p.disconnect()
    p.ss.names = None
    with tap.case("a peer of any address, known by a pattern") as say:
        p.certify(ca, remote_id="*." + p.b.identity.split(".", 1)[1], remote_id_wildcard=True)
        tunnel = p.tb.config["connections"][0]["tunnels"][0]
        remote = tunnel.pop("remote_address")
        p.tb.reload()
        sa = p.connect(False)
        say(sa["remote_id"])
        assert sa["remote_id"] == f"fqdn:{p.b.identity}", sa
        tunnel["remote_address"] = remote
        p.disconnect()


def raw_keys(tap, p, world):
    ca = Authority(world, "ecdsa", "raw")
    key, _ = ca.issue(p.a.identity)
    their_key, _ = ca.issue(p.b.identity)
    for we_begin in (True, False):
        with tap.case(f"raw public keys, {'initiator' if we_begin else 'responder'}") as say:
            p.ss.by_raw_key(their_key, ca.dir / f"{p.b.identity}.pub", ca.dir / f"{p.a.identity}.pub")
            p.configure(auth="raw-key", private_key=str(key), peer_public_key=str(ca.dir / f"{p.b.identity}.pub"))
            sa = p.connect(we_begin)
            say(f"{sa['auth_local']}, {sa['auth_remote']}")
            p.disconnect()


def reload(tap, p, world):
    with tap.case("a new certificate is used next time, and what stands is not disturbed"):
        ca = Authority(world, "ecdsa", "renewed")
        p.certify(ca)
        p.connect(True)
        before = p.tb.ids(TUNNEL), p.tb.ids(TUNNEL, "ike")
        key, cert = Authority.issue(ca, p.a.identity)
        again = [{"certificate": str(cert), "private_key": str(key)}]
        p.tunnel["certificates"] = again
        p.tb.reload()
        assert ping(p.a.host, p.a.host4, p.b.host4)
        assert before == (p.tb.ids(TUNNEL), p.tb.ids(TUNNEL, "ike"))
        p.disconnect()
        p.connect(True)
        p.disconnect()


def rotation(tap, p):
    new, old = new_psk(), new_psk()
    files = [p.tb.psk("new", new), p.tb.psk("old", old)]

    for we_begin, psk, name in ((False, old, "old"), (False, new, "new"), (True, old, "old"), (True, new, "new")):
        with tap.case(f"a PSK is being changed: the peer has the {name} one and "
                      f"{'waits' if we_begin else 'begins'}"):
            p.ss.by_psk(psk)
            options = {"psk_files": files}
            p.plain.pop("psk_file", None)
            p.configure(**options)
            p.connect(we_begin)
            p.disconnect()


def ppk(tap, p):
    secret = new_psk()
    path = p.tb.psk("ppk", secret)
    psk = new_psk()

    for we_begin in (True, False):
        with tap.case(f"a PPK, as {'initiator' if we_begin else 'responder'}"):
            p.ss.ppk = ("lab-ppk", secret)
            p.ss.by_psk(psk, ppk_id="lab-ppk", ppk_required="yes")
            p.configure(psk_file=p.tb.psk("plain", psk), ppk={"id": "lab-ppk", "file": path, "required": True})
            assert p.connect(we_begin)["ppk"]
            p.tb.rekey(TUNNEL, "ike")
            p.tb.rekey(TUNNEL, "child")
            assert ping(p.a.host, p.a.host4, p.b.host4)
            p.disconnect()
    with tap.case("no PPK at the peer, and ours may be left out"):
        p.ss.ppk = None
        del p.ss.connection["ppk_id"], p.ss.connection["ppk_required"]
        p.ss.by_psk(psk)
        p.configure(psk_file=p.tb.psk("plain", psk), ppk={"id": "lab-ppk", "file": path, "required": False})
        assert not p.connect(True)["ppk"]
        p.disconnect()


def main():
    need("ip", "ping", "charon-systemd", "swanctl", "pki")
    with World("auth") as world:
        tap = Tap(world)
        sites = two_sites(world, Side(), Side(kernel=True))
        p = Pair(sites)
        with p.tb, p.ss:
            certificates(tap, p, world)
            identities(tap, p, world)
            raw_keys(tap, p, world)
            reload(tap, p, world)
            failures(tap, p, world)
            rotation(tap, p)
            ppk(tap, p)
        return tap.done()


if __name__ == "__main__":
    sys.exit(main())
