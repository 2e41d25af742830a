# SPDX-License-Identifier: MIT
"""Servers that misbehave. The command counts what they do by its kind, and ends in its time."""

import contextlib
import socket
import struct
import subprocess
import time

from e2e.kit import NORIA, PATIENCE, check, equal, test
from e2e.peer import Peer, answering, measure, ok, requests, run


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hostile(serve, *arguments, scheme="http", timeout=5, **options):
    with Peer(serve) as peer:
        measured, errors = measure(peer.url(scheme), "--connections", 4, "--timeout", timeout, *arguments, **options)
        return measured, errors, peer.accepted


@test
def no_answer(_):
    def silent(connection, _):
        while connection.recv(65536):
            pass

    def deaf(_, number):
        time.sleep(5 if number > 1 else 0)  # the first only asks whether it is there
    for serve, options in [(silent, []), (silent, ["--rate", 100]), (silent, ["--pipeline", 8]), (deaf, [])]:
        measured, errors, _ = hostile(serve, *options, timeout=0.1, code=1)
        check(measured["answers"] == 0 and set(errors) == {"timeout"}, options, measured)
        check(measured["latency"]["min_ns"] >= 90e6, "what was waited for counts", measured)
    measured, errors, _ = hostile(deaf, "--size", "8M", scheme="tcp", timeout=0.1, code=1)  # it does not even read
    check(measured["answers"] == 0 and set(errors) == {"timeout"}, measured)


@test
def no_connection(_):
    def at_once(connection, _):
        connection.close()
    for options in [], ["--rate", 100]:
        measured, errors, accepted = hostile(at_once, *options, timeout=0.5, code=1)
        check(measured["answers"] == 0 and set(errors) <= {"short", "reset"} and errors, measured)
        check(accepted < 200, "it was hammered:", accepted, "connections in less than a second")
        measured, errors, _ = hostile(lambda connection, _: reset(connection), *options, timeout=0.5, code=1)
        check(measured["answers"] == 0 and set(errors) <= {"reset", "short"} and errors, measured)

    def after_some(connection, _):
        for number, _ in enumerate(requests(connection)):
            if number == 5:
                reset(connection)
                return
            connection.sendall(ok())
    measured, errors, _ = hostile(after_some)
    check(measured["answers"] > 5 and set(errors) == {"reset"}, measured)


@test
def no_sense(_):
    garbage = [b"\x00\xff" * 50, b"SSH-2.0-OpenSSH\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n",
               b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ok() + ok(),
               b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"]
    for each in garbage:
        measured, errors, _ = hostile(answering(each), code=1)
        check("bad" in errors and set(errors) <= {"bad", "reset"}, each, measured)

    def unasked(connection, _):
        connection.sendall(ok() * 3)
        time.sleep(1)
    measured, errors, _ = hostile(unasked, code=1)
    check("bad" in errors, measured)

    def wrong_echo(connection, _):
        while data := connection.recv(65536):
            connection.sendall(data[:-1] + b"!")
    measured, errors, _ = hostile(wrong_echo, scheme="tcp", code=1)
    check("bad" in errors and measured["answers"] == 0, measured)


@test
def no_end(_):
    def half(connection, _):
        for _ in requests(connection):
            connection.sendall(ok(b"x" * 1000)[:500])
            return
    measured, errors, _ = hostile(half, code=1)
    check(measured["answers"] == 0 and set(errors) <= {"short", "reset"} and errors, measured)

    def half_and_wait(connection, _):
        for _ in requests(connection):
            connection.sendall(ok(b"x" * 1000)[:500])
    measured, errors, _ = hostile(half_and_wait, timeout=0.1, code=1)
    check(measured["answers"] == 0 and set(errors) == {"timeout"}, measured)

    def endless(head, piece):
        def serve(connection, _):
            for _ in requests(connection):
                connection.sendall(head)
                while True:
                    connection.sendall(piece)
        return serve
    for head, piece in [(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 4096), (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 4096),
                        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 500)]:
        measured, errors, _ = hostile(endless(head, piece), timeout=0.1, code=1)
        check(measured["answers"] == 0 and "timeout" in errors, head, measured)

    def dripping(connection, _):
        for _ in requests(connection):
            for byte in ok(b"x" * 1000):
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
    measured, errors, _ = hostile(dripping, timeout=0.1, code=1)
    check(measured["answers"] == 0 and set(errors) == {"timeout"}, measured)


@test
def connections_that_are_not_made(_):
    for warmup, when in (0, "until the end"), (0.1, "when the measuring began"):
        with socket.socket() as full:  # one waits to be accepted, and nobody else is let in
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            out, _ = run(f"http://127.0.0.1:{full.getsockname()[1]}/", "--connections", 3, "--duration", 0.3, "--warmup",
                         warmup, code=1)
            check(f"3 connections were not made {when}" in out, out)
    with Peer(answering(ok())) as peer:
        out, _ = run(peer.url(), "--duration", 0.2, "--warmup", 0.2)
        check("were not made" not in out, out)
        done = subprocess.run(["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *NORIA, "bench", peer.url(), "--connections", "99"],
                              capture_output=True, check=False, timeout=PATIENCE)
        check(done.returncode == 1 and b"ulimit -n" in done.stderr, done)


@test
def no_server(_):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in f"http://127.0.0.1:{port}/", f"tcp://127.0.0.1:{port}", "unix:/nowhere/at/all":
        _, errors = run(url, code=1)
        check("Is the server running" in errors, errors)

    def leaving(connection, number):
        with contextlib.suppress(StopIteration):
            next(requests(connection))
            connection.sendall(ok())
        if number == 3:
            peer.listener.shutdown(socket.SHUT_RDWR)
            peer.listener.close()
    with Peer(leaving) as peer:  # it goes away while it is measured
        measured, errors = measure(peer.url(), "--connections", 4)
        check("connect" in errors, measured)
        equal(sum(measured["statuses"].values()), measured["answers"])
