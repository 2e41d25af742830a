# SPDX-License-Identifier: MIT
"""What the end-to-end tests stand on: a directory full of things to serve, a server on a free port, a raw client.

Requests are bytes on a socket, because a well-behaved HTTP library could not say what hostile or unlucky clients do.
A test is a function with @test; each gets a directory of its own and starts servers of its own.
"""

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TESTS = []
NORIA = [""]  # the command under test
PATIENCE = 10  # seconds that anything may take which should be immediate: sanitizers and busy machines are slow


def test(function):
    TESTS.append(function)
    return function


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(each) for each in what))


def equal(got, want, *what):
    check(got == want, *what, "got", repr(got), "want", repr(want))


LARGE = random.Random(1).randbytes(24 * 1024 * 1024 + 4321)
SECRET = b"nobody outside may read this"


@contextlib.contextmanager
def site():
    with tempfile.TemporaryDirectory(prefix="noria-e2e-") as top:
        root = os.path.join(top, "site")
        files = {
            "index.html": b"<h1>front</h1>\n", "plain.txt": b"0123456789", "empty": b"", "a b&<c>.md": b"# odd name\n",
            "sub/page.html": b"<p>page</p>\n", "sub/deep/x.json": b"{}", "dir.html/inner.txt": b"inner",
            "with/index.html": b"with index\n", "sixteen.bin": LARGE[:16384], "seventeen.bin": LARGE[:16385],
            "sixty-four.bin": LARGE[:65536], "sixty-five.bin": LARGE[:65537],
            "large.bin": LARGE, ".hidden": SECRET, ".well-known/acme": b"token\n", "back\\slash.txt": b"backslash\n",
        }
        for name, content in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(content)
        with open(os.path.join(top, "secret"), "wb") as out:
            out.write(SECRET)
        os.symlink("../secret", os.path.join(root, "way-out"))
        os.symlink("..", os.path.join(root, "way-up"))
        os.symlink("plain.txt", os.path.join(root, "way-in"))
        os.symlink("/etc", os.path.join(root, "way-etc"))
        os.mkfifo(os.path.join(root, "fifo"))
        yield root


class Server:
    def __init__(self, root, *options, command="serve", log=True, reads=True, under=(), listen="127.0.0.1:0"):
        arguments = [*under, *NORIA, command] + ([root] if root else [])
        arguments += ["--listen", listen, *options]
        if command == "serve" and not log:
            arguments += ["--access-log", "off"]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.errors)
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"listening on (127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):(\d+)\n", line)
        check(match, "no port in", repr(line), self.stderr())
        self.host, self.port = match.group(1).strip("[]"), int(match.group(2))
        self.output = b""
        self.reader = threading.Thread(target=self._read if reads else self.process.stdout.close, daemon=True)
        self.reader.start()

    def _read(self):
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            self.output += chunk
        self.process.stdout.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE * 3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "nothing: it did not end after SIGTERM"
        self.reader.join(PATIENCE)
        if kind is None:
            equal(code, 0, "exit code;", self.stderr())
        else:
            sys.stderr.write(self.stderr())

    def end(self, *signals, code=0):
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.05)
        equal(self.process.wait(PATIENCE), code, "exit code;", self.stderr())
        self.process.returncode = 0  # as expected: __exit__ has nothing to say

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def lines(self, count):
        """The access log, once it has so many lines."""
        end = time.monotonic() + PATIENCE
        while self.output.count(b"\n") < count and time.monotonic() < end:
            time.sleep(0.02)
        return self.output.decode().splitlines()

    def connect(self, receive_buffer=0):
        client = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(PATIENCE)
        client.connect((self.host, self.port))
        return Client(client)

    def ask(self, request, head=False):
        """One request on a connection of its own. Returns: its response."""
        with self.connect() as client:
            client.send(request)
            return client.response(head)

    def get(self, target, *headers, method="GET", version="1.1"):
        return self.ask(request_bytes(target, *headers, method=method, version=version), head=method == "HEAD")


def request_bytes(target, *headers, method="GET", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        return self.headers.get(name.lower())


class Client:
    def __init__(self, sock):
        self.socket, self.buffer = sock, b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        chunk = self.socket.recv(1 << 18)
        self.buffer += chunk
        return len(chunk) > 0

    def response(self, head=False):
        """Read one response in full. Raises EOFError where the connection ends before it."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                raise EOFError(f"connection ended after {self.buffer!r}")
        top, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, value = line.split(": ", 1)
            check(name.lower() not in headers, "header twice:", name)
            headers[name.lower()] = value
        status = int(first.split(" ")[1])
        check(first.startswith("HTTP/1.1 "), first)
        if status == 100:
            return Response(status, headers, b"")
        check("date" in headers and "x-request-id" in headers, "headers missing:", top)
        if head or status in (204, 304):
            return Response(status, headers, b"")
        size = int(headers["content-length"])
        chunks, have = [self.buffer], len(self.buffer)
        while have < size:
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                raise EOFError(f"body ended after {have} of {size} bytes")
            chunks.append(chunk)
            have += len(chunk)
        body = b"".join(chunks)
        self.buffer = body[size:]
        return Response(status, headers, body[:size])

    def at_end(self):
        """Does the connection end, with nothing more on it, and not by a reset (which can destroy an answer)?"""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            return False
        return self.buffer == b""

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def settle(server, descriptors):
    """Wait until the server has no more descriptors open than that."""
    end = time.monotonic() + PATIENCE
    while server.descriptors() > descriptors:
        check(time.monotonic() < end, "descriptors left behind:", server.descriptors(), "instead of", descriptors)
        time.sleep(0.02)


def run(each):
    start = time.monotonic()
    failed = False
    try:
        with site() as root:
            each(root)
    except Exception:  # one test's failure says nothing of the others
        failed = True
        traceback.print_exc()
    print(f"{'FAIL' if failed else 'ok  '} {each.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    return failed


def main():
    """PATH/TO/noria [TEST...]: run the tests that were registered, or those that are named."""
    NORIA[:] = [os.path.abspath(sys.argv[1])]
    chosen = [each for each in TESTS if not sys.argv[2:] or each.__name__ in sys.argv[2:]]
    failed = sum(run(each) for each in chosen)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0
