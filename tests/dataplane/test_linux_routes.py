# SPDX-License-Identifier: Apache-2.0
"""Routes in Linux's tables: they follow the FIB's, groups and interfaces; nobody else's are touched; nothing is left
behind."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import dplab
from dplab import *

METRIC = 512
TABLES = """routing:
  linux_routes: {table: 100%s}
  tables: [{name: other, linux_table: 101}, {name: quiet}]
"""


def ip(*argv):
    return sh("ip", *argv, ns="gw")


def table(number, family=4, protocol=84):
    """{prefix: names of interfaces, or "blackhole"} of one of Linux's tables."""
    out = json.loads(ip(f"-{family}", "-d", "-j", "route", "show", "table", number) or "[]")
    return {r["dst"]: "blackhole" if r["type"] == "blackhole" else
            ",".join(sorted([r["dev"]] if "dev" in r else [n["dev"] for n in r["nexthops"]]))
            for r in out if r["protocol"] == str(protocol)}


class Routed(unittest.TestCase):
    more = ""

    def setUp(self):
        self.site = Site(config() + TABLES % self.more)
        self.dp = self.site.dp
        self.addCleanup(self.site.close)
        for t in range(3):
            self.dp.fib(TUNNEL_SET, tunnel(t, f"t{t}", f"tb{t}"))
            self.dp.fib(GROUP_SET, group(t, t))

    def wait(self, want, number=100, family=4, timeout=10):
        self.dp.until(f"table {number}: {want}", lambda: table(number, family) == want, timeout)

    def setup_one(self):
        self.dp.fib(TUNNEL_SET, tunnel(0, "t0", "tb0"))
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("10.4.0.0/24", BLACKHOLE)))
        self.wait({"10.2.0.0/24": "tb0", "10.4.0.0/24": "blackhole"})

    def reload(self, text):
        n = len(self.dp.reloaded)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            self.dp.command(f"config {f.name}")
            self.dp.until("reloaded", lambda: len(self.dp.reloaded) > n)


class LinuxRoutes(Routed):
    def test_routes_follow(self):
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("10.3.0.0/24", 0), ("10.4.0.0/24", BLACKHOLE), ("2001:db8:2::/48", 1),
                                   ("10.5.0.0/24", 1, 1), ("10.6.0.0/24", 1, 2), ("10.7.0.0/24", PORTS, 1)))
        self.wait({"10.2.0.0/24": "tb0", "10.3.0.0/24": "tb0", "10.4.0.0/24": "blackhole"})
        self.wait({"2001:db8:2::/48": "tb1"}, family=6)
        self.wait({"10.5.0.0/24": "tb1"}, 101)
        # A group's change moves what points at it.
        self.dp.fib(GROUP_SET, group(0, 1, 0))
        self.wait({"10.2.0.0/24": "tb1", "10.3.0.0/24": "tb1", "10.4.0.0/24": "blackhole"})
        self.dp.fib(GROUP_SET, group(0, 1, 0, ecmp=2))
        self.wait({"10.2.0.0/24": "tb0,tb1", "10.3.0.0/24": "tb0,tb1", "10.4.0.0/24": "blackhole"})
        self.dp.fib(GROUP_SET, group(0))
        self.wait({"10.2.0.0/24": "blackhole", "10.3.0.0/24": "blackhole", "10.4.0.0/24": "blackhole"})
        self.dp.fib(GROUP_SET, group(0, 2))
        # A route's own change, and its end.
        self.dp.fib(ROUTES, routes(("10.3.0.0/24", 1), ("10.4.0.0/24", WITHDRAW), ("10.5.0.0/24", WITHDRAW, 1)))
        self.wait({"10.2.0.0/24": "tb2", "10.3.0.0/24": "tb1"})
        self.wait({}, 101)
        # Its interface gets another name, its tunnel goes.
        self.dp.fib(TUNNEL_SET, tunnel(2, "t2", "other2"))
        self.wait({"10.2.0.0/24": "other2", "10.3.0.0/24": "tb1"})
        self.dp.fib(TUNNEL_DEL, tunnel(2, ""))
        self.wait({"10.2.0.0/24": "blackhole", "10.3.0.0/24": "tb1"})
        self.dp.fib(ROUTE_DEL, route("10.2.0.0/24", 0))
        self.dp.fib(GROUP_DEL, group(0))
        self.wait({"10.3.0.0/24": "tb1"})

        self.dp.fib(ROUTES, routes(("10.3.0.0/24", WITHDRAW)))
        self.taken_away()
        self.owner()

    def owner(self):
        """Another route process: what it does not set again goes; the rest is never missing."""
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("10.3.0.0/24", 0)))
        self.wait({"10.2.0.0/24": "tb0", "10.3.0.0/24": "tb0"})
        monitor = subprocess.Popen(["ip", "netns", "exec", "gw", "ip", "monitor", "route"], stdout=subprocess.PIPE, bufsize=0)
        self.addCleanup(monitor.stdout.close)
        said = []

        def tells(what):
            """Reads on until it has told of this."""
            while not said or not re.search(what, said[-1]):
                self.assertTrue(select.select([monitor.stdout], [], [], 20)[0], said)
                said.append(monitor.stdout.readline().decode())
        ip("route", "add", "blackhole", "10.200.0.0/24", "table", "100", "proto", "static")
        for _ in range(200):
            # Until it listens.
            ip("route", "replace", "blackhole", "10.200.0.0/24", "table", "100", "proto", "static")
            if select.select([monitor.stdout], [], [], 0.1)[0]:
                break
        self.dp.command("ring 3")
        self.dp.command("ring 4")
        for t in range(3):
            self.dp.fib(TUNNEL_SET, tunnel(t, f"t{t}", f"tb{t}"))
        self.dp.fib(GROUP_SET, group(7, 0))
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 7)))
        self.dp.fib(SWEEP)
        self.wait({"10.2.0.0/24": "tb0"})
        ip("route", "del", "blackhole", "10.200.0.0/24", "table", "100")
        tells(r"Deleted.* 10\.200\.0\.0")
        monitor.terminate()
        monitor.wait()
        said = "".join(said)
        self.assertNotRegex(said, r"Deleted.* 10\.2\.0\.0")
        self.assertRegex(said, r"Deleted.* 10\.3\.0\.0")

    def test_others(self):
        """Another program's route of our metric is left alone, and ours comes when it has gone."""
        for cmd in (("route", "add", "10.2.0.0/24", "dev", "lan", "table", "100", "metric", METRIC, "proto", "static"),
                    ("route", "add", "10.3.0.0/24", "dev", "lan", "table", "100", "metric", "7", "proto", "bird")):
            ip(*cmd)
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("10.3.0.0/24", 0)))
        self.wait({"10.3.0.0/24": "tb0"})
        self.dp.until("a word about it", lambda: "another program" in self.dp.output())
        self.dp.fib(ROUTES, routes(("10.3.0.0/24", WITHDRAW)))
        self.wait({})
        self.assertEqual(table(100, protocol="static"), {"10.2.0.0/24": "lan"})
        self.assertEqual(table(100, protocol="bird"), {"10.3.0.0/24": "lan"})
        ip("route", "del", "10.2.0.0/24", "table", "100")
        self.wait({"10.2.0.0/24": "tb0"}, timeout=20)

    def taken_away(self):
        """Somebody takes an interface down: the routes come again."""
        self.dp.fib(GROUP_SET, group(0, 0))
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("2001:db8:2::/48", 0)))
        self.wait({"10.2.0.0/24": "tb0"})
        ip("link", "set", "tb0", "down")
        self.assertEqual(table(100), {})
        ip("link", "set", "tb0", "up")
        self.wait({"10.2.0.0/24": "tb0"})
        self.wait({"2001:db8:2::/48": "tb0"}, family=6)
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", WITHDRAW), ("2001:db8:2::/48", WITHDRAW)))
        self.wait({})

    def test_end(self):
        """An orderly end leaves nothing; what a killed process has left goes when the next one starts."""
        self.dp.fib(ROUTES, routes(("10.2.0.0/24", 0), ("10.4.0.0/24", BLACKHOLE)))
        self.wait({"10.2.0.0/24": "tb0", "10.4.0.0/24": "blackhole"})
        os.kill(dp_pid(), signal.SIGKILL)
        self.dp.ended()
        self.assertEqual(table(100), {"10.4.0.0/24": "blackhole"})
        self.dp.close()
        # It is not configured any more.
        self.site.start(config())
        self.assertEqual((table(100), ip("nexthop")), ({}, ""))
        self.site.dp.close()
        self.site.start(config() + TABLES % "")
        self.dp = self.site.dp
        self.setup_one()
        self.dp.command("stop")
        self.dp.ended()
        self.assertEqual((table(100), ip("nexthop")), ({}, ""))

    def test_reload(self):
        self.setup_one()
        self.reload(config() + TABLES.replace("100", "102") % ", protocol: 120")
        self.dp.until("the other table", lambda: table(102, protocol=120) == {"10.2.0.0/24": "tb0", "10.4.0.0/24": "blackhole"})
        self.assertEqual(table(100), {})
        self.reload(config())
        self.assertEqual((table(102, protocol=120), ip("nexthop")), ({}, ""))


class Limits(Routed):
    more = ", max_routes: 10"

    def test_limit(self):
        """No more than the limit; what was left out comes when there is room."""
        many = [f"10.9.{i}.0/24" for i in range(16)]
        self.dp.fib(ROUTES, routes(*((p, 0) for p in many)))
        self.dp.until("ten", lambda: len(table(100)) == 10)
        self.dp.until("a word about it", lambda: "max_routes" in self.dp.output())
        self.dp.fib(ROUTES, routes(*((p, WITHDRAW) for p in many[:8])))
        self.wait({p: "tb0" for p in many[8:]}, timeout=20)

    def test_many(self):
        """As many as Linux takes, while the manager answers; a group's change moves them at once."""
        count = int(os.environ.get("DP_LINUX_ROUTES", "3000"))
        self.reload(config() + TABLES % f", max_routes: {count}")
        begun = time.monotonic()
        for i in range(0, count, 140):
            self.dp.push("fib", ROUTES, routes(*((f"10.{128 + j // 65536}.{j // 256 % 256}.{j % 256}/32", 0)
                                                 for j in range(i, min(i + 140, count)))))
        self.dp.until("all", lambda: len(table(100)) == count, 60)
        print(f"# {count} routes in {time.monotonic() - begun:.2f} s", file=sys.stderr)
        begun = time.monotonic()
        self.dp.fib(GROUP_SET, group(0, 1))
        print(f"# moved in {(time.monotonic() - begun) * 1000:.1f} ms", file=sys.stderr)
        self.assertEqual(set(table(100).values()), {"tb1"})


class Main(unittest.TestCase):
    """What leads to a peer, or everywhere, stays out of the table by which Linux finds the peer."""

    def test_main(self):
        peer = """connections:
  - name: c
    local_networks: [0.0.0.0/0]
    remote_networks: [0.0.0.0/0]
    tunnels: [{name: t0, local_address: 192.0.2.1, remote_address: 198.51.100.1, psk_file: /x}]
"""
        site = Site(config().replace("connections: []\n", peer) + "routing: {linux_routes: {table: 254}}\n")
        self.addCleanup(site.close)
        site.dp.fib(TUNNEL_SET, tunnel(0, "t0", "tb0"))
        site.dp.fib(GROUP_SET, group(0, 0))
        site.dp.fib(ROUTES, routes(("0.0.0.0/0", 0), ("198.51.100.0/24", 0), ("198.0.0.0/8", 0), ("10.2.0.0/24", 0),
                                   ("198.51.101.0/24", 0)))
        site.dp.until("the others", lambda: table(254) == {"10.2.0.0/24": "tb0", "198.51.101.0/24": "tb0"})


if __name__ == "__main__":
    dplab.main()
