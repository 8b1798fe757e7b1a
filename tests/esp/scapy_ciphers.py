# SPDX-License-Identifier: Apache-2.0
"""ESP ciphers that scapy 2.5 lacks, made of its own parts: importing this adds AES-GCM-8, AES-GCM-12
and AES-GMAC to those that a SecurityAssociation knows."""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.layers.ipsec import CRYPT_ALGOS, ESP, CryptAlgo, IPSecIntegrityError, _ESPPlain


class Gmac(CryptAlgo):
    """RFC 4543 3.3: SPI, sequence number, IV and payload authenticated, nothing encrypted."""

    def aad(self, esp, esn_en, esn):
        return struct.pack("!L", esp.spi) + (struct.pack("!L", esn) if esn_en else b"") + \
            struct.pack("!L", esp.seq)

    def encrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
        text = esp.iv + esp.data_for_encryption()
        icv = AESGCM(key).encrypt(sa.crypt_salt + esp.iv, b"", self.aad(esp, esn_en, esn) + text)
        return ESP(spi=esp.spi, seq=esp.seq, data=text + icv)

    def decrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
        text, icv = esp.data[:-16], esp.data[-16:]
        try:
            AESGCM(key).decrypt(sa.crypt_salt + text[:8], icv, self.aad(esp, esn_en, esn) + text)
        except InvalidTag as e:
            raise IPSecIntegrityError(e)
        return _ESPPlain(spi=esp.spi, seq=esp.seq, iv=text[:8], data=text[8:-2 - text[-2]],
                         padlen=text[-2], nh=text[-1], icv=icv)


def salted(sa, iv, **_):
    return sa.crypt_salt + iv


SALTED = dict(key_size=(16, 24, 32), block_size=1, iv_size=8, salt_size=4, format_mode_iv=salted)
CRYPT_ALGOS["AES-GCM-8"] = CryptAlgo("AES-GCM-8", algorithms.AES, modes.GCM, icv_size=8, **SALTED)
CRYPT_ALGOS["AES-GCM-12"] = CryptAlgo("AES-GCM-12", algorithms.AES, modes.GCM, icv_size=12, **SALTED)
CRYPT_ALGOS["AES-GMAC"] = Gmac("AES-GMAC", AESGCM, None, icv_size=16, **SALTED)
