# SPDX-License-Identifier: MIT
"""Servers of the tests' own, each a few lines that do one thing, and `noria bench` run against them."""

import contextlib
import json
import socket
import subprocess
import threading
import time

from e2e.kit import NORIA, PATIENCE, check, equal

ERRORS = ("connect", "timeout", "reset", "bad", "short")


class Peer:
    """A TCP server: `serve(connection, number)` runs in a thread for each connection; what it raises ends it."""

    def __init__(self, serve, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.serve, self.accepted, self.ended = serve, 0, False
        self.connections = set()
        self.listener = socket.socket(family)
        self.listener.bind(address)
        self.listener.listen(512)
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while not self.ended:
                connection = self.listener.accept()[0]
                self.connections.add(connection)
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection, self.accepted), daemon=True).start()

    def _serve(self, connection, number):
        with contextlib.suppress(OSError), connection:
            self.serve(connection, number)
        self.connections.discard(connection)

    def url(self, scheme="http", path="/"):
        return f"{scheme}://127.0.0.1:{self.address[1]}{path if scheme == 'http' else ''}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.listener.close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def requests(connection):
    """Each request on a connection, without a body."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        while b"\r\n\r\n" in data:
            request, data = data.split(b"\r\n\r\n", 1)
            yield request


def answering(answer, seen=None):
    """A server that gives this answer to each request."""
    def serve(connection, _):
        for request in requests(connection):
            if seen is not None:
                seen.append(request)
            connection.sendall(answer)
    return serve


def ok(body=b"hello", *headers):
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def echoing(connection, _):
    while data := connection.recv(65536):
        connection.sendall(data)


def run(*arguments, code=0, patience=PATIENCE):
    """Run the command; whatever the server does, it has to end in time and not by a signal."""
    start = time.monotonic()
    done = subprocess.run([*NORIA, "bench", "--quiet", *map(str, arguments)], capture_output=True, check=False,
                          timeout=patience * 3)
    errors = done.stderr.decode()
    equal(done.returncode, code, "exit code;", arguments, done.stdout.decode(), errors)
    check("noria: " not in errors, "the runtime has something to say:", errors)  # failures that nobody looked at
    check(time.monotonic() - start < patience * 2, "it took", time.monotonic() - start, "s")
    return done.stdout.decode(), errors


def bench(*arguments, code=0, duration=0.4, warmup=0):
    """Measure and return what it came to."""
    out, _ = run("--json", "--duration", duration, "--warmup", warmup, *arguments, code=code)
    return json.loads(out)


def measure(*arguments, **options):
    """The same of one run, with the errors that there were beside it: {"timeout": 3}."""
    measured = bench(*arguments, **options)["runs"][0]
    equal(set(measured["errors"]), set(ERRORS))
    return measured, {kind: count for kind, count in measured["errors"].items() if count}


def milliseconds(measured, percentile):
    return measured["latency"]["percentiles_ns"][str(percentile)] / 1e6
