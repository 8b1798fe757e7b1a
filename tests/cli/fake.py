# SPDX-License-Identifier: Apache-2.0
"""A gateway for the CLI's tests: answers on a control socket as a test says."""

import json
import os
import socket
import tempfile
import threading

STATUS = {
    "version": 1, "gateway": "site-a", "software": "0.1.0", "uptime_s": 11520.25, "state": "ok",
    "tunnels_up": 2, "tunnels_configured": 2,
    "processes": [
        {"role": "supervisor", "pid": 100, "state": "running", "restarts": 0, "uptime_s": 11520.2},
        {"role": "ike", "pid": 102, "state": "running", "restarts": 1, "uptime_s": 61.0},
    ],
    "connections": [{"name": "site-b", "state": "up", "active_tunnel": "site-b-1",
                     "tunnels": ["site-b-1", "site-b-2"],
                     "routes": ["10.2.0.0/24", "2001:db8:2::/64"]}],
    "routes": {"prefixes": 1250004, "candidates": 1250006, "waiting": 3000, "refused": 0},
    "rates": {"in_bps": 940123456, "out_bps": 999, "in_pps": 81234, "out_pps": 1},
}

TUNNELS = {"version": 1, "tunnels": [
    {"name": "site-b-1", "connection": "site-b", "index": 0, "up": True, "phase": "up",
     "reason": "", "since_s": 3725.0, "active": True, "local": "192.0.2.1:4500",
     "remote": "198.51.100.1:4500", "interface": "tb-b-1",
     "inside_addresses": ["169.254.10.2/30"], "mtu": 1438, "path_mtu": 1480,
     "path_mtu_learnt": True, "natt": True, "draining": True, "replacing": None, "in_packets": 10,
     "in_bytes": 1610612736, "out_packets": 20, "out_bytes": 1023, "in_dropped": 1,
     "out_dropped": 2},
    {"name": "site-b-2", "connection": "site-b", "index": 1, "up": False, "phase": "connecting",
     "reason": "the peer does not answer", "since_s": 12.5, "active": False, "local": "192.0.2.1",
     "remote": None, "interface": "tb-b-2", "inside_addresses": [], "mtu": 0, "path_mtu": 0,
     "path_mtu_learnt": False, "natt": False,
     "in_packets": 0, "in_bytes": 0, "out_packets": 0, "out_bytes": 0, "in_dropped": 0,
     "out_dropped": 0},
]}

SAS = {"version": 1, "sas": [
    {"kind": "ike", "tunnel": "site-b-1", "state": "established", "initiator": True,
     "suite": "aes-256-gcm-16/prf-sha2-384/dh-31", "natt": True, "local": "192.0.2.1:4500",
     "remote": "198.51.100.1:4500", "age_s": 60.0, "rekey_in_s": 28000.0, "expires_in_s": 28740.0,
     "spi_i": "0123456789abcdef", "spi_r": "fedcba9876543210",
     "auth_local": "psk", "auth_remote": "ecdsa-sha2-256", "remote_id": "fqdn:gw-b.example.net", "ppk": False},
    {"kind": "child", "tunnel": "site-b-1", "state": "installed", "initiator": True,
     "suite": "aes-256-gcm-16/dh-31/esn", "natt": True, "local": "192.0.2.1:4500",
     "remote": "198.51.100.1:4500", "age_s": 60.0, "rekey_in_s": 3000.0, "expires_in_s": None,
     "slot": 0, "spi_in": "00100000", "spi_out": "c0ffee00", "current_out": True,
     "udp_encap": True, "local_ts": ["10.1.0.0/24"], "remote_ts": ["10.2.0.0/24"],
     "in_packets": 10, "in_bytes": 5000, "out_packets": 20, "out_bytes": 123456789,
     "out_seq": 20, "in_seq_high": 10, "in_auth_failed": 1, "in_replayed": 2, "in_late": 0,
     "in_ts_mismatch": 0},
]}

ROUTES = {"version": 1, "next": None, "routes": [
    {"prefix": "10.9.0.0/24", "table": "main", "connection": "other", "source": "static",
     "tunnel": None, "backups": [], "candidates": 1, "installed": False},
    {"prefix": "10.2.0.0/24", "table": "main", "connection": "site-b", "source": "static",
     "tunnel": "site-b-1", "backups": ["site-b-2"], "candidates": 2, "installed": True},
    {"prefix": "2001:db8:7::/48", "table": "blue", "connection": "site-b", "source": "bgp",
     "tunnel": "site-b-1", "sharing": ["site-b-1", "site-c-1"], "backups": [], "candidates": 3,
     "installed": True, "as_path": "65001 65002 {65003}", "origin": "incomplete", "med": None,
     "next_hop": "fd00::1", "stale": True},
    {"prefix": "10.66.0.0/16", "table": "blue", "connection": None, "source": "blackhole",
     "tunnel": None, "backups": [], "candidates": 1, "installed": True},
    {"prefix": "10.1.0.0/16", "table": "blue", "connection": None, "source": "local",
     "tunnel": None, "backups": [], "candidates": 1, "installed": True},
    {"prefix": "9.0.0.0/8", "table": "blue", "connection": "site-b", "source": "bgp",
     "tunnel": "site-b-2", "backups": ["site-b-1"], "candidates": 2, "installed": True,
     "as_path": "", "origin": "igp", "med": 4294967295, "next_hop": "169.254.10.1",
     "stale": False},
]}

NEIGHBOR = {
    "tunnel": "site-b-1", "connection": "site-b", "local": "169.254.10.2",
    "neighbor": "169.254.10.1", "local_as": 65000, "remote_as": 4200000001,
    "state": "Established", "since_s": 3600.0,
    "ipv4": {"received": 7, "accepted": 5, "stale": 0, "advertised": 3},
    "ipv6": {"received": 1, "accepted": 1, "stale": 1, "advertised": 0},
    "refused": 2, "flaps": 1, "last_error": "hold timer expired", "router_id": "192.0.2.9",
    "hold_s": 30, "keepalive_s": 10, "families": ["ipv4", "ipv6"],
    "capabilities": ["four-octet-as", "route-refresh"], "messages_in": 100, "messages_out": 99,
    "updates_in": 8, "updates_out": 4, "faults": {"own-as-in-path": 2}, "passive": False,
    "password": True, "ttl_security": True, "prepend": 0, "graceful_shutdown": False,
    "max_prefixes": 100, "med": 100,
}

BGP = {"version": 1, "neighbors": [NEIGHBOR, dict(
    NEIGHBOR, tunnel="site-b-2", neighbor="169.254.10.5", state="Active", since_s=5.0, refused=0,
    ipv4={}, ipv6={}, flaps=0, last_error="peer sent Cease/2: \x1b[2Jmaintenance")]}

PATHS = {"version": 1, "next": None, "routes": [
    {"prefix": "10.4.0.0/16", "as_path": "65001", "origin": "igp", "med": 5,
     "next_hop": "169.254.10.1", "local_pref": 100, "path_id": 0, "best": True, "stale": False},
    {"prefix": "10.3.0.0/16", "as_path": "", "origin": "igp", "med": None,
     "next_hop": "169.254.10.1", "local_pref": 90, "path_id": 0, "best": False, "stale": True}]}

BFD = {"version": 1, "dropped": {"ttl": 3, "too-short": 0}, "sessions": [
    {"tunnel": "site-b-1", "local": "169.254.10.2", "neighbor": "169.254.10.1", "state": "Up",
     "remote_state": "Up", "diagnostic": "none", "remote_diagnostic": "none", "since_s": 60.0,
     "tx_s": 0.05, "detection_s": 0.15, "multiplier": 3, "local_discriminator": 1,
     "remote_discriminator": 2, "packets_in": 1200, "packets_out": 1201, "flaps": 0},
    {"tunnel": "site-b-2", "local": "169.254.10.6", "neighbor": "169.254.10.5", "state": "Down",
     "remote_state": "Down", "diagnostic": "control detection time expired",
     "remote_diagnostic": "none", "since_s": 1.0, "tx_s": 1, "detection_s": 0, "multiplier": 3,
     "local_discriminator": 3, "remote_discriminator": 0, "packets_in": 7, "packets_out": 70,
     "flaps": 1}]}

CHOICE = {"version": 1, "tables": [
    {"route": {"prefix": "10.2.0.0/16", "table": "main", "connection": "site-b", "source": "bgp",
               "tunnel": "site-b-2", "backups": ["site-b-1"], "candidates": 2, "installed": True,
               "as_path": "65001", "origin": "igp", "med": 50, "next_hop": "169.254.10.5",
               "stale": False},
     "choice": [
         {"source": "bgp", "connection": "site-b", "tunnel": "site-b-2", "best": True,
          "usable": True, "step": "lower MED", "why": "the best one, by: lower MED",
          "local_pref": 100, "counted_med": 50, "path_id": 0, "stale": False, "as_path": "65001",
          "origin": "igp", "med": 50, "next_hop": "169.254.10.5"},
         {"source": "bgp", "connection": "site-b", "tunnel": "site-b-1", "best": False,
          "usable": False, "step": "lower MED",
          "why": "MED 100; the best one's is 50 (a missing one counts as 100); its tunnel does not "
                 "work now",
          "local_pref": 100, "counted_med": 100, "path_id": 0, "stale": True, "as_path": "65001",
          "origin": "igp", "med": None, "next_hop": "169.254.10.1"}]},
    {"route": {"prefix": "10.0.0.0/8", "table": "blue", "connection": None, "source": "blackhole",
               "tunnel": None, "backups": [], "candidates": 1, "installed": True},
     "choice": [{"source": "blackhole", "connection": None, "tunnel": None, "best": True,
                 "usable": True, "step": "", "why": "the only one"}]},
]}

WHAT_IF = {"version": 1, "tunnel": "site-b-1", "usable": True, "moved": 1001, "lost": 2,
           "moves": [{"to": "site-b-2", "prefixes": 1000}, {"to": "site-c-1", "prefixes": 1},
                     {"to": None, "prefixes": 2}]}

PORTS = {"version": 1, "aead_backend": "ipsec-mb", "eal": "no hugepages, 2 lcores", "ports": [
    {"name": "wan", "device": "net_af_xdp,iface=eth0", "driver": "net_af_xdp", "mirror": "wan",
     "mac": "02:00:00:00:00:01", "mtu": 1500, "link_up": True, "speed_mbps": 10000,
     "rx_packets": 1, "rx_bytes": 2048, "rx_missed": 1, "rx_errors": 2, "tx_packets": 4,
     "tx_bytes": 4096, "tx_dropped": 0, "to_linux": 5, "from_linux": 6,
     "offloads": [{"name": "rss", "state": "on"}, {"name": "spi-rules", "state": "not offered"}],
     "spi_rules": 0, "spi_rules_refused": 0},
    {"name": "lan", "device": "0000:3b:00.1", "driver": "net_ixgbe", "mirror": "lan",
     "mac": "02:00:00:00:00:02", "mtu": 9000, "link_up": False, "speed_mbps": 0,
     "rx_packets": 0, "rx_bytes": 0, "rx_missed": 0, "rx_errors": 0, "tx_packets": 0,
     "tx_bytes": 0, "tx_dropped": 7, "to_linux": 0, "from_linux": 0,
     "offloads": [{"name": "rss", "state": "on"}, {"name": "spi-rules", "state": "off"}],
     "spi_rules": 2, "spi_rules_refused": 1},
], "workers": [
    {"index": 0, "lcore": 1, "asleep": True, "polls": 1000, "busy_polls": 125, "sleeps": 3,
     "packets": 4000, "handed": 12, "spread": 90, "taken_back": 30, "helped": 7, "cycles_per_packet": 350},
], "suites": [
    {"suite": "aes-128-gcm-16", "backend": "vaes"},
    {"suite": "aes-256-gcm-16", "backend": "ipsec-mb"},
    {"suite": "chacha20-poly1305", "backend": "ipsec-mb"},
]}

COUNTERS = {"version": 1, "ike": {"rx-messages": 12, "rx-truncated": 0},
            "dataplane": {"no-route": 0, "replayed": 3}}

EXPLAIN = {
    "version": 1, "tunnel": "site-b-2", "connection": "site-b", "up": False, "phase": "backoff",
    "reason": "no common IKE proposal", "since_s": 75.0, "local": "192.0.2.1:500",
    "remote": "198.51.100.2:500", "broken": "ike",
    "layers": [
        {"layer": "port", "state": "ok", "text": "wan, link up"},
        {"layer": "path", "state": "ok", "text": "the peer was heard 0.4 s ago"},
        {"layer": "ike", "state": "failed",
         "text": "IKE proposal: closest offer 1: differs in DH: they 14, we 19,20"},
        {"layer": "auth", "state": "unknown", "text": ""},
        {"layer": "child", "state": "unknown", "text": ""},
        {"layer": "dataplane", "state": "unknown", "text": ""},
        {"layer": "traffic", "state": "unknown", "text": ""}],
    "mismatch": {"age_s": 2.0, "layer": "ike", "what": "IKE proposal", "by_peer": False,
                 "ours": "encryption aes-256-gcm-16; PRF sha2-384; DH 19,20",
                 "theirs": "1: encryption aes-256-gcm-16; PRF sha2-384; DH 14",
                 "differs": "closest offer 1: differs in DH: they 14, we 19,20",
                 "key": "ike.dh", "add": "14"},
    "fix": {"line": 41, "key": "ike.dh", "instead": "dh: [19, 20, 14]",
            "text": "line 41: dh: [19, 20, 14]"},
}

DOCTOR = {"version": 1, "tunnels": 2, "findings": [
    {"severity": "error", "subject": "lan", "layer": "port", "text": "no link", "fix": None},
    {"severity": "error", "subject": "site-b-2", "layer": "ike",
     "text": "IKE proposal: differs in DH: they 14, we 19,20", "fix": EXPLAIN["fix"]},
    {"severity": "warning", "subject": "ike", "layer": "process",
     "text": "it was restarted 1 times: \x1b[2Jthe log says why", "fix": None},
]}

EVENTS = {"version": 1, "events": [
    {"time": "2026-01-01T00:00:00.000Z", "kind": "tunnel-up", "process": "ike",
     "tunnel": "site-b-1", "text": "the tunnel can carry traffic"},
    {"time": "2026-01-01T00:00:01.500Z", "kind": "switched", "process": "route",
     "connection": "site-b", "from": "site-b-1", "to": "site-b-2", "text": "traffic moved"},
    {"time": "2026-01-01T00:00:02.000Z", "kind": "auth-failed", "process": "ike",
     "tunnel": "site-b-1", "text": "the peer says \x1b[2Jhello\x07 \u202egnp.exe"},
]}

ANSWERS = {
    "status": STATUS,
    "show.connections": {"version": 1, "connections": STATUS["connections"]},
    "show.tunnels": TUNNELS,
    "show.sas": SAS,
    "show.routes": ROUTES,
    "show.ports": PORTS,
    "show.counters": COUNTERS,
    "events": EVENTS,
    "explain": EXPLAIN,
    "explain.route": CHOICE,
    "show.bgp": BGP,
    "show.bgp.received": PATHS,
    "show.bgp.advertised": PATHS,
    "show.bfd": BFD,
    "what-if": WHAT_IF,
    "tunnel.drain": {"version": 1, "moved": 12, "stays": 0},
    "tunnel.undrain": {"version": 1},
    "tunnel.replace": {"version": 1},
    "doctor": DOCTOR,
    "up": {"version": 1},
    "down": {"version": 1},
    "rekey": {"version": 1},
    "redirect": {"version": 1},
    "reload": {"version": 1, "changed": ["site-b-1"], "unchanged": 3},
}


class Error(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class FakeGateway:
    """answers[method]: a result, an Error, bytes that are sent as they are, None for silence, or a
    function of (connection, parameters) that returns one of these."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="twinbore-cli-")
        self.path = os.path.join(self.folder.name, "control.sock")
        self.answers = dict(ANSWERS)
        self.asked = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    self.answer(connection, json.loads(line))
            except OSError:
                return

    def answer(self, connection, request):
        method, params = request["method"], request["params"]
        self.asked.append((method, params))
        answer = self.answers[method]
        if callable(answer):
            answer = answer(connection, params)
        if answer is None:
            return
        if isinstance(answer, bytes):
            connection.sendall(answer)
            if not answer:
                connection.shutdown(socket.SHUT_RDWR)
            return
        line = {"id": request["id"]}
        if isinstance(answer, Error):
            line["error"] = {"code": answer.code, "message": answer.message}
        else:
            line["result"] = answer
        connection.sendall(json.dumps(line).encode() + b"\n")

    def close(self):
        # Before the descriptor's number is given away, its thread must have left accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.folder.cleanup()
