# SPDX-License-Identifier: MIT
"""Around the server: its log, its arguments, and the echo server."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from e2e.kit import LARGE, NORIA, PATIENCE, Server, check, equal, request_bytes, settle, test


def resolves(name):
    """A bare root file system has no /etc/hosts, and knows no localhost."""
    try:
        socket.getaddrinfo(name, 0)
        return True
    except OSError:
        return False


@test
def the_access_log(root):
    with Server(root) as server:
        answer = server.get('/plain.txt?x="\\<>')
        server.get("/" + "n" * 3000)
        server.ask(b"GARBAGE\r\n\r\n")
        lines = server.lines(3)
        check(len(lines) == 3, lines)
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
        start = rf'{stamp} {answer["x-request-id"]} 127\.0\.0\.1:\d+ GET '
        check(re.fullmatch(start + r'"/plain.txt\?x=\\x22\\x5c<>" 200 \d+ \d+us', lines[0]), lines[0])
        check(re.search(r'nnn\.\.\." 404 \d+ \d+us$', lines[1]), lines[1][-60:])
        check(re.search(r' - "" 400 \d+ \d+us$', lines[2]), lines[2])
    with tempfile.NamedTemporaryFile() as log:
        with Server(root, "--access-log", log.name) as server:
            with server.connect() as client:
                client.send(request_bytes("/plain.txt") * 2000)
                ids = {client.response()["x-request-id"] for _ in range(2000)}
            equal(len(ids), 2000)
            server.end(signal.SIGTERM)
        logged = [line.split()[1] for line in log.read().decode().splitlines()]
        equal((len(logged), set(logged)), (2000, ids), "every request is logged once")
    with Server(root, reads=False) as server:  # nobody reads the log any more: the server does not mind
        for _ in range(3):
            equal(server.get("/plain.txt").status, 200)
            time.sleep(0.15)


@test
def addresses(root):
    names = ["0.0.0.0:0", ":0"] + (["localhost:0"] if resolves("localhost") else [])
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        names.append("[::1]:0")
    for name in names:
        with Server(root, listen=name) as server:
            equal(server.get("/plain.txt").body, b"0123456789", name)
            line = server.lines(1)[0]
            check(re.search(r"Z \S+ (127\.0\.0\.1|\[::1\]|\[::ffff:127\.0\.0\.1\]):\d+ GET ", line), line)


@test
def arguments(root):
    def run(*arguments):
        done = subprocess.run([*NORIA, *arguments], capture_output=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    for arguments_given, code, text in [
        (["--help"], 0, "Commands:"), (["--version"], 0, "noria "), ([], 2, "Commands:"), (["sevre"], 2, "serve"),
        (["serve", "--help"], 0, "--drain-timeout"), (["help", "serve"], 0, "--drain-timeout"),
        (["echo", "--help"], 0, "--mode"), (["serve"], 2, "which directory"), (["serve", "a", "b"], 2, "one directory"),
        (["serve", "--nonsense", "."], 2, "--help"),
        (["serve", ".", "--listen"], 2, "wants a value"), (["serve", ".", "--listen", "8080"], 2, "ADDR:PORT"),
        (["serve", ".", "--listen", "::1:80"], 2, "[::1]"), (["serve", ".", "--idle-timeout", "soon"], 2, "seconds"),
        (["serve", ".", "--max-header", "1G"], 2, "16K"), (["serve", ".", "--max-connections", "0"], 2, "whole number"),
        (["serve", os.path.join(root, "nowhere"), "--listen", "127.0.0.1:0"], 1, "No such file"),
        (["serve", root, "--listen", "192.0.2.1:0"], 1, "not an address of this machine"),
        (["echo", "--mode", "fast"], 2, "stream or recv"), (["echo", "here"], 2, "--listen"),
        (["echo", "--idle", "soon"], 2, "seconds"), (["echo", "--spin", "1001"], 2, "from 0 to 1000"),
    ]:
        got, out, errors = run(*arguments_given)
        equal(got, code, arguments_given, out, errors)
        check(text in (out if code == 0 else errors), arguments_given, out, errors)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, errors = run("serve", root, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        check(code == 1 and "choose another port" in errors, code, errors)


@test
def echo(root):
    for mode, spin in ("stream", "0"), ("recv", "0"), ("stream", "100"), ("recv", "100"):
        with Server(None, "--mode", mode, "--spin", spin, command="echo") as server:
            before = server.descriptors()
            with server.connect() as client:
                for size in 1, 64, 5000, 300000:
                    sender = threading.Thread(target=client.send, args=(LARGE[:size],))
                    sender.start()
                    got = b""
                    while len(got) < size:
                        got += client.socket.recv(65536)
                    sender.join()
                    check(got == LARGE[:size], mode, size)
            for _ in range(100):
                client = server.connect()
                client.send(b"x" * 1000)
                client.reset()
            settle(server, before)
            with server.connect() as client:
                client.send(b"still there?")
                equal(client.socket.recv(100), b"still there?")
                server.end(signal.SIGTERM)
        with Server(None, "--mode", mode, "--idle", "0.05", command="echo") as server, server.connect() as client:
            client.send(b"once")
            equal(client.socket.recv(100), b"once")
            equal(client.socket.recv(100), b"", "nobody hung up")
