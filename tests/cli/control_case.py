# SPDX-License-Identifier: Apache-2.0
"""A control process between fake processes, for each test a new one."""

import sys
import unittest

from gateway import Gateway, send


def harness():
    return Case.harness


class Case(unittest.TestCase):
    harness = None
    stats = True

    def setUp(self):
        self.gw = Gateway(harness(), stats=self.stats)
        self.addCleanup(self.gw.close)
        self.ike = self.gw.peers["IKE"]
        self.route = self.gw.peers["ROUTE"]
        self.supervisor = self.gw.peers["SUPERVISOR"]

    def client(self):
        client = self.gw.client()
        self.addCleanup(client.close)
        return client

    def tearDown(self):
        if self.gw.process.poll() is None:
            send(self.gw.channel, "IPC_STOP")
            self.assertEqual(self.gw.process.wait(timeout=60), 0, self.gw.text_of_log())


def main():
    Case.harness = sys.argv.pop(1)
    unittest.main(verbosity=2)
