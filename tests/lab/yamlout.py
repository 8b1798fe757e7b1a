# SPDX-License-Identifier: Apache-2.0
"""yamlout: dictionaries and lists as YAML that people can read."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_./%][A-Za-z0-9_./%:-]*\Z")


def _scalar(v):
    if v is None:
        return "null"
    if v is True or v is False:
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    if _PLAIN.match(v) and not v.endswith(":") and ": " not in v:
        return v
    return '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _flat(v):
    return not isinstance(v, (dict, list)) or (isinstance(v, list) and all(not isinstance(x, (dict, list)) for x in v))


def _inline(v):
    return "[" + ", ".join(_scalar(x) for x in v) + "]" if isinstance(v, list) else _scalar(v)


def dump(v, depth=0):
    pad = "  " * depth
    lines = []
    if isinstance(v, dict):
        for k, x in v.items():
            if _flat(x) or not x:
                lines.append(f"{pad}{k}: {_inline(x) if not isinstance(x, dict) else '{}'}")
            else:
                lines.append(f"{pad}{k}:")
                lines.append(dump(x, depth + 1).rstrip("\n"))
    else:
        for x in v:
            if _flat(x):
                lines.append(f"{pad}- {_inline(x)}")
            else:
                text = dump(x, depth + 1).rstrip("\n")
                lines.append(f"{pad}- {text[len(pad) + 2:]}")
    return "\n".join(lines) + "\n"
