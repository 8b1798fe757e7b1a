# SPDX-License-Identifier: Apache-2.0
"""fetch: a file of any size over HTTP, made as it is sent, checked by its SHA-256.

Every 64 bytes of the content hold the plaintext marker, so that any packet of it that leaves in
clear is seen as such; a number in every block makes order matter.

As a program:  python3 -m lab.fetch ADDRESS PORT    (GET /bytes/N)
"""

import hashlib
import random
import socket
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from .wire import MARKER
from .world import LabError

BLOCK = 1 << 20
CELL = 64


def content(size):
    """Yields the file's bytes in blocks."""
    noise = random.Random(4303).randbytes(CELL - len(MARKER))
    block = bytearray((MARKER + noise) * (BLOCK // CELL))
    n = 0
    while size > 0:
        for i in range(len(MARKER), BLOCK, 4096):  # no two pages are alike
            block[i:i + 8] = (n * BLOCK + i).to_bytes(8, "big")
        yield memoryview(block)[:min(size, BLOCK)]
        size -= BLOCK
        n += 1


def sha256(size):
    h = hashlib.sha256()
    for block in content(size):
        h.update(block)
    return h.hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            size = int(self.path.removeprefix("/bytes/"))
        except ValueError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        for block in content(size):
            self.wfile.write(block)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, port):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), _Handler)

    def server_bind(self):
        # Not HTTPServer's: it asks the DNS for our name, and a host of the lab has no DNS.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class Server:
    """Context manager: the HTTP server on a host."""

    _port = 8000

    def __init__(self, ns, address):
        Server._port += 1
        self.ns, self.address, self.port = ns, address, Server._port

    def __enter__(self):
        self.process = self.ns.spawn([sys.executable, "-m", "lab.fetch", self.address, self.port], "http")
        self.process.wait_for("ready")
        return self

    def __exit__(self, *_):
        self.process.stop()
        return False

    def fetch(self, ns, size, timeout=180, to=None):
        """Fetches it from `ns`; returns seconds, mbps and sha256, with `ok` if it is the right one. `to`: the
        server's address as `ns` knows it."""
        to = to or self.address
        host = f"[{to}]" if ":" in to else to
        url = f"http://{host}:{self.port}/bytes/{size}"
        started = time.monotonic()
        r = ns.run(["sh", "-c", f"curl -sS --max-time {timeout} '{url}' | sha256sum"], timeout=timeout + 10)
        seconds = time.monotonic() - started
        if r.stderr.strip():
            raise LabError(f"curl: {r.stderr.strip()}")
        got = r.stdout.split()[0]
        return SimpleNamespace(seconds=seconds, mbps=size * 8 / seconds / 1e6, sha256=got, ok=got == sha256(size))


if __name__ == "__main__":
    with _Server(sys.argv[1], int(sys.argv[2])) as server:
        print("ready", flush=True)
        server.serve_forever()
