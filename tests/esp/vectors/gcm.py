#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Published AES-GCM vectors in the form that test_gcm.c reads, a line each:

    key iv plain additional-data ciphertext tag [invalid]

in hex; "-" is nothing, "?" the plaintext that a refused packet never had. "invalid": to be refused.

    gcm.py wycheproof CHECKOUT   Project Wycheproof (https://github.com/C2SP/wycheproof, Apache-2.0)
    gcm.py nist FOLDER           every case of NIST's CAVP (public domain): gcmEncryptExtIV*.rsp, gcmDecrypt*.rsp, as
                                 Debian's python3-cryptography-vectors has them in ciphers/AES/GCM

ESP has an IV of 96 bits, tags of 64, 96 or 128, and a trailer, so that no packet is empty: others are left out.
"""
import json
import re
import sys
from pathlib import Path


def line(key, iv, plain, aad, text, tag, ok):
    words = [key, iv, plain, aad or "-", text, tag] + ([] if ok else ["invalid"])
    return " ".join(words)


def wycheproof(checkout):
    yield "# Project Wycheproof, testvectors_v1/aes_gcm_test.json, by gcm.py. License: Apache-2.0."
    for group in json.loads((checkout / "testvectors_v1" / "aes_gcm_test.json").read_text())["testGroups"]:
        if group["ivSize"] != 96 or group["tagSize"] not in (64, 96, 128):
            continue
        for t in group["tests"]:
            if t["msg"]:
                yield line(t["key"], t["iv"], t["msg"], t["aad"], t["ct"], t["tag"], t["result"] == "valid")


def nist(folder):
    yield "# NIST CAVP, gcmEncryptExtIV and gcmDecrypt, by gcm.py."
    for path in sorted(folder.glob("gcm*.rsp")):
        for case in path.read_text().replace("\r", "").split("Count = ")[1:]:
            f = dict(re.findall(r"^(Key|IV|CT|AAD|Tag|PT) = ?([0-9a-f]*)$", case.split("[")[0], re.M))
            if len(f["IV"]) == 24 and f["CT"] and len(f["Tag"]) in (16, 24, 32):
                yield line(f["Key"], f["IV"], f.get("PT", "?"), f["AAD"], f["CT"], f["Tag"], "PT" in f)


if __name__ == "__main__":
    for text in {"wycheproof": wycheproof, "nist": nist}[sys.argv[1]](Path(sys.argv[2])):
        print(text)
