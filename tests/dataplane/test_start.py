# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping: each thing that is wrong is named, with what to do; a stop leaves nothing."""

import re

import dplab
from dplab import *


def port(device, name="wan", address="192.0.2.1/24", extra=""):
    return f"  - name: {name}\n    device: {device}\n    addresses: [{address}]\n{extra}"


def text(ports, dataplane="workers: 1, hugepages: off, memory: 256"):
    return ("version: 1\ngateway: {name: dp-test, log: {level: debug}}\n"
            f"dataplane: {{{dataplane}}}\nports:\n{ports}connections: []\n")


def vdev(args):
    return '{vdev: "%s"}' % args


GOOD = port(vdev("net_af_packet,iface=w0"))

# what is wrong -> what the message must name
CASES = [
    ("hugepages required", text(GOOD, "workers: 1, hugepages: require, memory: 4096"),
     [r"no free hugepages", r"sysctl vm\.nr_hugepages=2048", r"hugepages: auto"]),
    ("no such interface", text(port(vdev("net_af_xdp,iface=nosuch0"))),
     [r"port 'wan'", r"no Linux interface 'nosuch0'", r"ip link"]),
    ("no such driver", text(port(vdev("net_nosuch,iface=w0"))),
     [r"port 'wan'", r"net_nosuch", r"driver"]),
    ("bad arguments", text(port(vdev("net_af_packet,iface=w0,blocksz=7"))),
     [r"port 'wan'", r"net_af_packet,iface=w0,blocksz=7"]),
    ("no such PCI device", text(port('{pci: "0000:7f:1f.7"}')),
     [r"port 'wan'", r"0000:7f:1f\.7", r"lspci"]),
    ("an address on the interface", text(port(vdev("net_af_packet,iface=taken0"))),
     [r"port 'wan'", r"taken0", r"203\.0\.113\.9", r"ip addr flush dev taken0"]),
    ("a gateway elsewhere", text(port(vdev("net_af_packet,iface=w0"),
                                      extra="    gateway: [10.99.0.1]\n")), [r"10\.99\.0\.1"]),
    ("a name in use", text(port(vdev("net_af_packet,iface=w0"), name="other0")),
     [r"port 'other0'", r"exists", r"other0"]),
    ("too little memory", text(GOOD, "workers: 1, hugepages: off, memory: 64"), [r"192"]),
]


class Start(unittest.TestCase):
    def setUp(self):
        sh("ip", "netns", "add", "gw")
        self.addCleanup(lambda: sh("ip", "netns", "del", "gw"))
        for a, b in (("w0", "w1"), ("taken0", "t1"), ("other0", "o1")):
            sh("ip", "link", "add", a, "netns", "gw", "type", "veth", "peer", "name", b)
            self.addCleanup(lambda b=b: sh("ip", "link", "del", b, check=False))
            sh("ip", "link", "set", b, "up")
        sh("ip", "addr", "add", "203.0.113.9/24", "dev", "taken0", ns="gw")

    def start(self, config_text):
        dp = Dataplane(config_text)
        self.addCleanup(dp.close)
        return dp.ready()

    def test_errors(self):
        before = sh("ip", "-br", "link", ns="gw")
        for what, config_text, names in CASES:
            with self.subTest(what):
                try:
                    dp = Dataplane(config_text)
                    self.addCleanup(dp.close)
                    dp.until("an end", lambda: dp.exit is not None, 15)
                except AssertionError as e:
                    # The configuration itself may refuse it, before there is a dataplane.
                    self.assertIn("dp_harness", str(e))
                    message = str(e)
                else:
                    self.assertNotEqual(dp.exit, 0)
                    self.assertIsNotNone(dp.fatal, dp.output())
                    message = dp.fatal
                for name in names:
                    self.assertRegex(message, re.compile(name))
                self.assertNotIn("\n", message.strip() if "dp_harness" not in message else "")
        self.assertEqual([l.split()[0] for l in sh("ip", "-br", "link", ns="gw").splitlines()],
                         [l.split()[0] for l in before.splitlines()])

    def ends_clean(self, how):
        for driver in ("net_af_packet", "net_af_xdp"):
            with self.subTest(driver):
                dp = self.start(text(port(vdev(driver + ",iface=w0"))))
                dp.fib(TUNNEL_SET, tunnel(0, "t1", "tb0", ["169.254.10.2/30"]))
                dp.sa(SA_ADD_OUT, sa(5, 0x1000, 0, LOCAL, PEER))
                links = sh("ip", "-br", "link", ns="gw")
                self.assertIn("tb0", links)
                self.assertRegex(links, r"\bwan\b")
                if how == "eof":
                    dp.close()
                else:
                    dp.command(how)
                    self.assertEqual(dp.ended(), 0, dp.output())
                links = sh("ip", "link", ns="gw")
                self.assertNotIn("tb0", links)
                self.assertNotRegex(links, r"\bwan\b")
                self.assertNotIn("xdp", links)

    def test_stop(self):
        self.ends_clean("stop")

    def test_signal(self):
        self.ends_clean("signal")

    def test_supervisor_dies(self):
        self.ends_clean("eof")

    def test_reload(self):
        dp = self.start(text(GOOD))
        for change, answer in ((text(GOOD), r"^$"),
                               (text(GOOD).replace("192.0.2.1/24", "192.0.2.7/24"), r"restart"),
                               (text(GOOD).replace("workers: 1", "workers: 2"), r"restart"),
                               ("version: [", r"line 2")):
            with tempfile.NamedTemporaryFile("w") as f:
                f.write(change)
                f.flush()
                dp.command("config " + f.name)
                dp.until("reloaded", lambda: dp.reloaded)
                self.assertRegex(dp.reloaded.pop(), answer)

    def test_privileges(self):
        dp = self.start(text(GOOD))
        pid = dp_pid()
        # NET_ADMIN 12, NET_RAW 13, IPC_LOCK 14, BPF 39: nothing else, in every thread
        allowed = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 39

        def capabilities(task):
            return int(re.search(r"^CapEff:\s*(\w+)", read(f"/proc/{pid}/task/{task}/status"), re.M).group(1), 16)
        # Workers give up theirs when they start.
        dp.until("few capabilities", lambda: not any(capabilities(t) & ~allowed for t in os.listdir(f"/proc/{pid}/task")))
        for task in os.listdir(f"/proc/{pid}/task"):
            status = read(f"/proc/{pid}/task/{task}/status")
            name = re.search(r"^Name:\s*(\S+)", status, re.M).group(1)
            with self.subTest(name):
                self.assertEqual(capabilities(task) & ~allowed, 0)
                self.assertEqual(re.search(r"^NoNewPrivs:\s*(\d)", status, re.M).group(1), "1")
        limits = read(f"/proc/{pid}/limits")
        self.assertRegex(limits, r"Max core file size +0 +0")

    def test_least_memory(self):
        dp = self.start(text(GOOD, "workers: 1, hugepages: off, memory: 192"))
        dp.fib(ROUTE_SET, route("10.2.0.0/24", 0))

    def test_many_drivers(self):
        for device in ("net_null", "net_ring", "net_tap,iface=dtap0"):
            with self.subTest(device):
                dp = self.start(text(port(vdev(device))))
                time.sleep(0.3)
                self.assertEqual(len(dp.stats()["ports"]), 1)
                dp.command("stop")
                self.assertEqual(dp.ended(), 0, dp.output())


if __name__ == "__main__":
    dplab.main()
