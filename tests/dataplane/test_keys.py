# SPDX-License-Identifier: Apache-2.0
"""ESP keys of a running twinbore-dp: in memory that is locked and in no core dump, nowhere else; gone
with their SA; and in nothing that an aborted process leaves behind."""

import resource
import signal

import dplab
import memory
from dplab import *
from scapy.all import ESP, IP, Raw, SecurityAssociation, UDP

SPI_OUT = 0x12345678
SUITES = [(GCM, 256, 0), (GCM, 128, 0), (GMAC, 256, 0), (CHACHA, 256, 0), (CBC, 256, SHA512),
          (CBC, 128, SHA1)]


class Keys(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        here = os.getcwd()
        os.chdir(self.folder.name)  # where the kernel would put a core
        self.addCleanup(os.chdir, here)

    def start(self, backend):
        self.site = Site(backend=backend, workers=2)
        self.dp = self.site.dp
        self.addCleanup(self.close)
        self.dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))
        self.pid = dp_pid()
        self.canaries = {}

    def close(self):
        try:
            self.site.close()
        except AssertionError:
            if self.dp.exit != 128 + signal.SIGABRT:
                raise

    def install(self):
        """An SA of each suite with a key of its own, each used both ways."""
        for i, (encr, bits, integ) in enumerate(SUITES):
            slot, key, ikey = 5 + i, os.urandom(36), os.urandom(64)
            both = dict(encr=encr, bits=bits, integ=integ, key=key, ikey=ikey)
            self.canaries[f"{encr}-{bits} key"] = key[:bits // 8]
            if integ:
                self.canaries[f"{encr}-{bits} integrity key"] = ikey[:20]
            self.dp.sa(SA_ADD_IN, sa(slot, 0x00700000 | slot, 0, LOCAL, PEER, **both))
            self.dp.sa(SA_ADD_OUT, sa(slot, SPI_OUT + i, 0, LOCAL, PEER, **both))
            self.dp.sa(SA_SWITCH, ref(slot, 0))
            for n in range(40):
                self.site.lan.send(IP(src=HOST, dst=REMOTE_HOST) / UDP(sport=n, dport=2) /
                                   Raw(bytes(n * 20)))
                self.site.wan.send(IP(src=PEER, dst=LOCAL) /
                                   ESP(spi=0x00700000 | slot, seq=n + 1, data=bytes(160)))
            self.assertEqual(len(self.site.wan.drain(0.2)), 40)

    def check_places(self):
        places = memory.find(self.pid, self.canaries)
        for name, found in places.items():
            self.assertEqual([m for m in found if not m.hidden], [], f"{name} can be dumped")
            # An HMAC's key is not kept: only the hash's states that it makes.
            if "integrity" not in name:
                self.assertTrue(found, f"{name} was not found: then nothing is proved")

    def check_gone(self):
        self.dp.sa(SA_FLUSH)
        for name, found in memory.find(self.pid, self.canaries).items():
            self.assertEqual(found, [], f"{name} outlives its SA")

    def test_ipsec_mb(self):
        self.start("ipsec-mb")
        self.install()
        self.check_places()
        self.check_gone()

    def test_openssl(self):
        self.start("openssl")
        self.install()
        self.check_places()
        self.check_gone()

    def test_the_search_finds(self):
        """In ordinary memory, a value is found, and so is a core that holds it."""
        value = os.urandom(32)
        code = f"import sys; v = bytes.fromhex('{value.hex()}'); print(flush=True); sys.stdin.read()"
        p = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        p.stdout.readline()
        found = memory.find(p.pid, {"v": value})["v"]
        p.communicate()
        self.assertTrue([m for m in found if not m.hidden], found)

    def test_abort(self):
        """A core is written of a process that may, with what it held; of twinbore-dp there is none."""
        pattern = read("/proc/sys/kernel/core_pattern").strip()
        value = os.urandom(32)
        self.assertTrue(memory.core_of("pass", value, self.folder.name) or pattern[0] in "|/",
                        "no core of an ordinary process: the test proves nothing")
        # What it inherits would allow it one, too.
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, limits)
        self.start("auto")
        self.install()
        before = set(os.listdir(self.folder.name))
        os.kill(self.pid, signal.SIGABRT)
        self.assertEqual(self.dp.ended(), 128 + signal.SIGABRT)
        self.assertEqual(set(os.listdir(self.folder.name)), before, "a core was written")
        huge = [line.split()[1] for line in read("/proc/mounts").splitlines()
                if line.split()[2] == "hugetlbfs"]
        roots = [self.folder.name, "/dev/shm", "/run", "/var/run", *huge]
        self.assertEqual(memory.files_with(self.canaries.values(), *roots), [])
        self.assertTrue(memory.files_with([value], self.folder.name) or pattern[0] in "|/")


if __name__ == "__main__":
    sys.argv[1:3] = [os.path.abspath(a) for a in sys.argv[1:3]]
    dplab.main()
