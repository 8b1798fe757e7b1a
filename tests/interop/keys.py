# SPDX-License-Identifier: Apache-2.0
"""keys: CAs, certificates and raw keys of every kind that the matrix authenticates by, made by openssl."""

KINDS = {
    "rsa": ("RSA", "rsa_keygen_bits:2048"),
    "rsa-4096": ("RSA", "rsa_keygen_bits:4096"),
    "rsa-pss": ("RSA", "rsa_keygen_bits:2048"),
    "ecdsa": ("EC", "ec_paramgen_curve:P-256"),
    "ecdsa-384": ("EC", "ec_paramgen_curve:P-384"),
    "ecdsa-521": ("EC", "ec_paramgen_curve:P-521"),
    "ed25519": ("ED25519", None),
    "ed448": ("ED448", None),
    "chain": ("EC", "ec_paramgen_curve:P-256"),  # by a subordinate CA, whose certificate is sent too
    "raw-ecdsa": ("EC", "ec_paramgen_curve:P-256"),
    "raw-ed25519": ("ED25519", None),
    "raw-rsa": ("RSA", "rsa_keygen_bits:2048"),
}
OUR_ID = "gw-a.example.net"


def their_id(kind):
    return f"{kind}.gw-b.example.net"


def of(row):
    """The kind of a row's certificates or raw keys; None if it needs none."""
    for a in (row.auth, row.their_auth or row.auth):
        if a != "psk":
            return a
    return None


class Keys:
    """Files in a folder: ca.crt, sub.crt, ours.crt, ours.key, theirs.crt and so on, a folder a kind."""

    def __init__(self, world, kinds):
        self.world = world
        self.dir = world.dir / "keys"
        self.dir.mkdir()
        for kind in kinds:
            (self.dir / kind).mkdir()
            (self._raw if kind.startswith("raw-") else self._certified)(kind)

    def path(self, kind, name):
        return self.dir / kind / name

    def _openssl(self, *argv):
        self.world.run(["openssl", *argv])

    def _key(self, kind, name):
        algorithm, option = KINDS[kind]
        path = self.path(kind, f"{name}.key")
        self._openssl("genpkey", "-algorithm", algorithm, *(["-pkeyopt", option] if option else []), "-out", path)
        path.chmod(0o600)
        return path

    def _certificate(self, kind, name, subject, extensions, by=None):
        issuer = ["-CA", self.path(kind, f"{by}.crt"), "-CAkey", self.path(kind, f"{by}.key")] if by else []
        self._openssl("req", "-x509", "-new", "-key", self._key(kind, name), "-subj", subject, "-days", "30", *issuer,
                      "-config", "/dev/null", *(x for e in extensions for x in ("-addext", e)),
                      "-out", self.path(kind, f"{name}.crt"))

    def _certified(self, kind):
        ca = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"]
        self._certificate(kind, "ca", f"/O=Lab/CN={kind} CA", ca)
        issuer = "ca"
        if kind == "chain":
            self._certificate(kind, "sub", f"/O=Lab/CN={kind} subordinate CA", ca, "ca")
            issuer = "sub"
        for name, identity in (("ours", OUR_ID), ("theirs", their_id(kind))):
            self._certificate(kind, name, f"/C=DE/O=Lab/CN={identity}",
                              ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                               f"subjectAltName=DNS:{identity}"], issuer)
        if kind == "chain":
            ours = self.path(kind, "ours.crt")
            ours.write_text(ours.read_text() + self.path(kind, "sub.crt").read_text())

    def _raw(self, kind):
        for name in ("ours", "theirs"):
            self._openssl("pkey", "-in", self._key(kind, name), "-pubout", "-out", self.path(kind, f"{name}.pub"))

    def pkcs12(self, kind, name):
        """Certificate and key in one file, without a password."""
        path = self.path(kind, f"{name}.p12")
        self._openssl("pkcs12", "-export", "-in", self.path(kind, f"{name}.crt"), "-inkey", self.path(kind, f"{name}.key"),
                      "-name", f"{kind}-{name}", "-passout", "pass:", "-out", path)
        return path

    # ------------------------------------------------------------ configurations

    def ours(self, row):
        """Keys of our tunnel."""
        kind = of(row)
        raw = kind.startswith("raw-")

        def word(auth):
            return "psk" if auth == "psk" else "raw-key" if raw else "certificate"

        keys = {"local_auth": word(row.auth), "remote_auth": word(row.their_auth or row.auth)}
        if row.auth != "psk":
            keys.update({"private_key": str(self.path(kind, "ours.key"))} if raw else
                        {"certificates": [{"certificate": str(self.path(kind, "ours.crt")),
                                           "private_key": str(self.path(kind, "ours.key"))}]})
        if (row.their_auth or row.auth) != "psk":
            keys.update({"peer_public_key": str(self.path(kind, "theirs.pub"))} if raw else
                        {"ca_files": [str(self.path(kind, "ca.crt"))]})
        return keys

    def theirs(self, row):
        """strongSwan's sections `local` and `remote`, without identities."""
        kind = of(row)
        raw = kind.startswith("raw-")
        local, remote = {"auth": "psk"}, {"auth": "psk"}
        if (row.their_auth or row.auth) != "psk":
            local = {"auth": "rsa/pss-sha256" if kind == "rsa-pss" else "pubkey"}
            local.update({"pubkeys": f"{kind}-theirs.pub"} if raw else {"certs": f"{kind}-theirs.crt"})
        if row.auth != "psk":
            remote = {"auth": "pubkey"}
            remote.update({"pubkeys": f"{kind}-ours.pub"} if raw else {"cacerts": f"{kind}-ca.crt"})
        return local, remote

    def install(self, charon):
        """Puts strongSwan's files where it looks for them."""
        for folder in self.dir.iterdir():
            for name, to in (("ca.crt", "x509ca"), ("sub.crt", "x509ca"), ("theirs.crt", "x509"), ("theirs.key", "private"),
                             ("ours.pub", "pubkey"), ("theirs.pub", "pubkey")):
                if (folder / name).exists():
                    target = charon.dir / "swanctl" / to / f"{folder.name}-{name}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes((folder / name).read_bytes())
