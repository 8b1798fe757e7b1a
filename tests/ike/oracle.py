#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An independent opinion on the messages that the product builds.

usage: oracle.py DUMP

Runs DUMP and takes every message apart with scapy's IKEv2 layer (the chain of payloads, proposals
and transforms, selectors) and opens the protected ones with python3-cryptography and hashlib.
The product's own parsers and primitives take no part.
"""
import hmac
import json
import logging
import subprocess
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.contrib import ikev2
from scapy.packet import NoPayload

INTEG = {12: ("sha256", 16), 13: ("sha384", 24), 14: ("sha512", 32)}
NAMES = {33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Nonce",
         41: "Notify", 42: "Delete", 43: "VendorID", 44: "TSi", 45: "TSr", 46: "Encrypted", 47: "CP",
         48: "EAP"}


def chain(first, data):
    """[(type, bytes), ...] by the generic headers alone."""
    out = []
    while first:
        size = int.from_bytes(data[2:4], "big")
        assert 4 <= size <= len(data), "payload length"
        out.append((first, data[:size]))
        if first == 46:  # its next payload is inside
            assert size == len(data), "SK is not the last payload"
            return out
        first, data = data[0], data[size:]
    assert not data, "bytes after the last payload"
    return out


def proposals(layer):
    """[(number, protocol, SPI, [(type, id, key bits)]), ...] of a dissected SA payload."""
    out = []
    p = layer.prop
    while not isinstance(p, NoPayload):
        transforms = []
        t = p.trans
        while not isinstance(t, NoPayload):
            bits = (t.key_length or 0) & 0xffff if t.length > 8 else 0
            transforms.append((t.transform_type, t.transform_id, bits))
            t = t.payload
        assert len(transforms) == p.trans_nb, "transform count"
        out.append((p.proposal, p.proto, bytes(p.SPI), transforms))
        p = p.payload
    return out


def dissect(message):
    """Header and payloads as scapy sees them; each must build to the same bytes again."""
    header = ikev2.IKEv2(message[:28])
    assert header.length == len(message), "header length"
    assert bytes(header) == message[:28], "header"
    layers = []
    for number, data in chain(header.next_payload, message[28:]):
        kind = getattr(ikev2, "IKEv2_payload_" + NAMES.get(number, "?"), ikev2.IKEv2_payload)
        layer = kind(data)
        # scapy 2.5 takes a Notify's SPI for part of its data as well: see only to its header.
        if number == 41 and data[5]:
            assert layer.SPIsize == len(layer.SPI) and bytes(layer.SPI) == data[8:8 + data[5]]
        else:
            assert isinstance(layer.payload, NoPayload), "bytes left over in payload %d" % number
            assert bytes(layer) == data, "scapy builds other bytes for payload %d" % number
        layers.append(layer)
    return header, layers


def layer_of(layers, kind):
    return [layer for layer in layers if isinstance(layer, kind)][0]


def check_sample_contents(found):
    """Facts of the samples (tests/ike/util.c) as scapy sees them."""
    offers = proposals(layer_of(found[0], ikev2.IKEv2_payload_SA))
    assert [o[:3] for o in offers] == [(1, 1, b""), (2, 1, b"")], offers
    rest = [(4, 20, 0), (4, 31, 0), (4, 14, 0)]
    assert offers[0][3] == [(1, 20, 256), (2, 6, 0), (2, 5, 0)] + rest, offers
    assert offers[1][3] == [(1, 12, 128), (2, 6, 0), (2, 5, 0), (3, 12, 0)] + rest, offers
    offers = proposals(layer_of(found[2], ikev2.IKEv2_payload_SA))
    assert [o[:3] for o in offers] == [(1, 3, b"\1\2\3\4"), (2, 3, b"\1\2\3\4")], offers
    assert offers[0][3] == [(1, 20, 256), (4, 19, 0), (5, 1, 0), (5, 0, 0)], offers
    assert offers[1][3] == [(1, 12, 256), (3, 14, 0), (4, 19, 0), (5, 1, 0), (5, 0, 0)], offers

    ke = layer_of(found[0], ikev2.IKEv2_payload_KE)
    assert ke.group == 14 and len(ke.load) == 256
    assert len(layer_of(found[0], ikev2.IKEv2_payload_Nonce).load) == 32
    idi = layer_of(found[2], ikev2.IKEv2_payload_IDi)
    assert idi.IDtype == 2 and bytes(idi.ID) == b"gw-a.example.n"

    ts = layer_of(found[2], ikev2.IKEv2_payload_TSi).traffic_selector
    assert len(ts) == 4
    assert (ts[0].starting_address_v4, ts[0].ending_address_v4) == ("10.1.0.0", "10.1.0.255")
    assert (ts[1].IP_protocol_ID, ts[1].start_port, ts[1].end_port) == (6, 80, 443)
    assert (ts[2].start_port, ts[2].end_port) == (65535, 0)
    assert (ts[3].length, ts[3].starting_address_v6, ts[3].ending_address_v6) == \
        (40, "2001:db8::", "2001:db8:100::")


def unseal(case, message):
    """RFC 7296 3.14 and RFC 5282, from the outside: returns the plaintext without its padding."""
    key, akey = bytes.fromhex(case["e"]), bytes.fromhex(case["a"])
    body = message[32:]  # after the header and SK's generic header
    if case["encr"] == 20:
        assert len(key) == case["bits"] // 8 + 4
        nonce = key[-4:] + body[:8]
        plain = AESGCM(key[:-4]).decrypt(nonce, body[8:], message[:32])
    else:
        name, icv_size = INTEG[case["integ"]]
        want = hmac.new(akey, message[:-icv_size], name).digest()[:icv_size]
        assert hmac.compare_digest(want, message[-icv_size:]), "ICV"
        dec = Cipher(algorithms.AES(key), modes.CBC(body[:16])).decryptor()
        plain = dec.update(body[16:-icv_size]) + dec.finalize()
    pad = plain[-1]
    assert pad < len(plain) and pad < 16, "padding"
    return plain[:-1 - pad]


def main():
    out = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True, text=True).stdout
    found, n_sealed, ivs = [], 0, set()
    for line in out.splitlines():
        case = json.loads(line)
        message = bytes.fromhex(case["message"])
        header, layers = dissect(message)
        if case["kind"] == "clear":
            found.append(layers)
            continue
        assert header.next_payload == 46 and len(layers) == 1, "a protected message is SK alone"
        assert message[28] == case["first"], "type of the first payload inside"
        inner = unseal(case, message)
        assert inner == bytes.fromhex(case["inner"]), "plaintext"
        chain(case["first"], inner)
        if case["encr"] == 12:
            assert message[32:48] not in ivs, "a CBC IV stands twice"
            ivs.add(message[32:48])
        n_sealed += 1
    check_sample_contents(found)
    assert len(found) == 8 and n_sealed == 40, (len(found), n_sealed)
    print("%d clear and %d protected messages" % (len(found), n_sealed))


if __name__ == "__main__":
    main()
