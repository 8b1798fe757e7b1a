# SPDX-License-Identifier: Apache-2.0
"""Where in a process's memory, and in what it left behind, certain bytes stand: for tests that keys
are where no core dump and no file gets them."""

import os
import re
import resource
import signal
import subprocess
import sys


class Mapping:
    def __init__(self, line):
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        self.start, self.end = int(m[1], 16), int(m[2], 16)
        self.mode, self.name = m[3], m[4]
        self.flags = []

    def __repr__(self):
        return f"<{self.start:x} {self.mode} {self.name or 'anonymous'} {' '.join(self.flags)}>"

    @property
    def hidden(self):
        """Locked, and in no core dump."""
        return "dd" in self.flags and "lo" in self.flags


def mappings(pid):
    out = []
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                out.append(Mapping(line))
            elif line.startswith("VmFlags:"):
                out[-1].flags = line.split()[1:]
    return out


def contents(pid, found=lambda m: True):
    """(mapping, bytes) of all that can be read."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for m in mappings(pid):
            if m.name in ("[vvar]", "[vsyscall]", "[vvar_vclock]") or not found(m):
                continue
            at = m.start
            while at < m.end:
                n = min(m.end - at, 16 << 20)
                try:
                    yield m, os.pread(fd, n, at)
                except OSError:
                    pass  # guard pages
                at += n
    finally:
        os.close(fd)


def find(pid, needles):
    """{name: [mappings that hold the bytes]} for {name: bytes}."""
    out = {name: [] for name in needles}
    for m, data in contents(pid):
        for name, needle in needles.items():
            out[name] += [m] * data.count(needle)
    return out


def files_with(needles, *roots):
    """Paths of files below the roots that hold any of the bytes."""
    out = []
    for root in roots:
        for at, _, names in os.walk(root):
            for name in names:
                path = os.path.join(at, name)
                try:
                    if not os.path.isfile(path) or os.path.islink(path):
                        continue
                    with open(path, "rb") as f:
                        data = f.read()
                except OSError:
                    continue
                if any(n in data for n in needles):
                    out.append(path)
    return out


def core_of(argv_code, value, folder):
    """Aborts a process that holds `value` and may dump its core into `folder`: the files that then
    hold the value. The proof that this machine writes cores that one can look into."""
    code = f"import os; v = bytes.fromhex('{value.hex()}') * 2; {argv_code}; os.abort()"

    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    p = subprocess.Popen([sys.executable, "-c", code], cwd=folder, preexec_fn=allow,
                         stderr=subprocess.DEVNULL)
    assert p.wait() == -signal.SIGABRT
    return files_with([value], folder)
