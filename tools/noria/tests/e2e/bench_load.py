# SPDX-License-Identifier: MIT
"""What is sent, what counts, and that the latencies are true."""

import contextlib
import os
import select
import socket
import threading
import time

from e2e.kit import check, equal, test
from e2e.peer import Peer, answering, bench, echoing, measure, milliseconds, ok, requests


@test
def echoes_and_files(root):
    for depth in 1, 7:
        with Peer(echoing) as peer:
            measured, errors = measure(peer.url("tcp"), "--connections", 3, "--depth", depth)
            check(measured["answers"] > 10 and not errors, measured)
            check(abs(measured["bytes"] - measured["answers"] * 64) <= 64 * 100, measured)
    path = os.path.join(root, "socket")
    with Peer(echoing, socket.AF_UNIX, path):
        measured, errors = measure(f"unix:{path}", "--connections", 3)
        check(measured["answers"] > 10 and not errors, measured)
    with Peer(echoing) as peer:  # larger than any buffer: sent and received at the same time
        measured, errors = measure(peer.url("tcp"), "--connections", 2, "--size", "32M", duration=1.5)
        check(measured["answers"] > 1 and not errors, measured)
    with Peer(echoing) as peer:  # threads and connections that do not divide
        measured, errors = measure(peer.url("tcp"), "--connections", 5, "--threads", 3, "--ramp", 0.1)
        check(measured["answers"] > 10 and not errors, measured)
        equal(peer.accepted, 6, "connections, with the one that asks whether it is there")


@test
def http_requests(_):
    seen = []
    with Peer(answering(ok(), seen)) as peer:
        measured, errors = measure(peer.url(path="/a?b=c"), "--connections", 2, "--pipeline", 4, "--header", "X-A: 1",
                                   "--header", "Host: elsewhere", "--method", "DELETE")
        check(measured["answers"] > 10 and not errors, measured)
        equal(measured["statuses"], {"2xx": measured["answers"]})
        check(len(seen) >= measured["answers"], len(seen))
        equal(set(seen), {b"DELETE /a?b=c HTTP/1.1\r\nX-A: 1\r\nHost: elsewhere"})
    got = []

    def with_body(connection, _):
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
            while data.endswith(b"the body"):
                got.append(data)
                data = b""
                connection.sendall(ok())
    with Peer(with_body) as peer:
        measured, errors = measure(peer.url(), "--connections", 1, "--body", "the body")
        check(measured["answers"] > 10 and not errors, measured)
        check(got[0].startswith(b"POST / HTTP/1.1\r\nHost: 127.0.0.1:") and b"Content-Length: 8\r\n" in got[0], got[0])


@test
def http_answers(_):
    """All the ways in which an answer may be told, none of which is an error."""
    for answer, options in [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", []),
        (b"HTTP/1.1 204 No Content\r\n\r\n", []),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ok(), []),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", ["--method", "HEAD"]),
    ]:
        with Peer(answering(answer)) as peer:
            measured, errors = measure(peer.url(), "--connections", 2, *options)
            check(measured["answers"] > 10 and not errors, answer, measured)
    with Peer(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as peer:
        measured, errors = measure(peer.url(), "--connections", 2, code=4)
        check(measured["statuses"] == {"4xx": measured["answers"]} and not errors, measured)

    def byte_by_byte(connection, _):
        for _ in requests(connection):
            for byte in ok():
                connection.sendall(bytes([byte]))
    with Peer(byte_by_byte) as peer:
        measured, errors = measure(peer.url(), "--connections", 1)
        check(measured["answers"] > 3 and not errors, measured)

    def once(answer):
        def serve(connection, _):
            for _ in requests(connection):
                connection.sendall(answer)
                return
        return serve
    for answer in ok(b"x", b"Connection: close"), b"HTTP/1.0 200 OK\r\n\r\nuntil the end":
        with Peer(once(answer)) as peer:  # a connection an answer, and no harm done
            measured, errors = measure(peer.url(), "--connections", 2)
            check(measured["answers"] > 10 and not errors, answer, measured)


@test
def an_announced_end(_):
    """A server that answers ten on a connection and says so: what was sent beyond is asked again, once, and no error."""
    def ten(connection, _):
        for number, _ in enumerate(requests(connection)):
            time.sleep(0.1 if number == 8 else 0)  # meanwhile more come than the two that are left
            connection.sendall(ok(b"x", *[b"Connection: close"] * (number == 9)))
            if number == 9:
                break
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    with Peer(ten) as peer:
        measured, errors = measure(peer.url(), "--connections", 2, "--pipeline", 8)
        check(measured["answers"] > 20 and not errors, measured)
        measured, errors = measure(peer.url(), "--connections", 2, "--pipeline", 8, "--rate", 120, duration=1.5)
        check(not errors and measured["unanswered"] == 0, measured)
        equal(measured["latency"]["count"], 180, "each of the schedule counts once")
        check(measured["latency"]["curve_ns"][30] > 25e6, "75 %: what is asked again has waited since it was due", measured)
        check(measured["answers"] >= 140 and peer.accepted >= 15, measured, peer.accepted)


@test
def datagrams(_):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{server.getsockname()[1]}"
        lose = [0]

        def serve():
            number = 0
            while True:
                data, address = server.recvfrom(65536)
                number += 1
                if not data:
                    return
                if not lose[0] or number % lose[0]:
                    server.sendto(data, address)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        measured, errors = measure(url, "--connections", 3, "--depth", 4)
        check(measured["answers"] > 10 and not errors, measured)
        measured, errors = measure(url, "--connections", 3, "--rate", 200)
        check(75 < measured["answers"] <= 85 and not errors, measured)
        lose[0] = 10  # one in ten never comes back
        measured, errors = measure(url, "--connections", 2, "--depth", 4, "--timeout", 0.05, duration=1)
        check(measured["answers"] > 10 and set(errors) == {"timeout"}, measured)
        check(milliseconds(measured, 99) >= 50, "what was lost counts with the time that it was waited for", measured)
        server.sendto(b"", server.getsockname())
        thread.join()
    measured, errors = measure(url, "--connections", 2, code=1)  # nobody is there now
    check(measured["answers"] == 0 and "connect" in errors, measured)


def stalling(period, pause):
    """An echo server that does nothing at all for `pause` seconds, once in `period`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    ended = threading.Event()

    def serve():
        sockets, stall = [listener], time.monotonic()
        while not ended.is_set():
            ready = select.select(sockets, [], [], max(0, min(0.1, stall - time.monotonic())))[0]
            for each in ready:
                if each is listener:
                    sockets.append(listener.accept()[0])
                    continue
                with contextlib.suppress(OSError):
                    if data := each.recv(65536):
                        each.sendall(data)
                        continue
                sockets.remove(each)
                each.close()
            if time.monotonic() >= stall:
                time.sleep(pause)
                stall += period
        for each in sockets:
            each.close()
    thread = threading.Thread(target=serve)
    thread.start()
    return f"tcp://127.0.0.1:{listener.getsockname()[1]}", lambda: (ended.set(), thread.join())


@test
def an_open_loop_omits_nothing(_):
    """Requests come evenly, so of those of one period the share pause / period meet a stall, and wait for what is left
    of it: evenly from nothing to all. So the latency that a share q exceeds is pause - q * period. A closed loop asks
    once a connection during a stall, and hides that."""
    period, pause = 1.0, 0.2
    url, end = stalling(period, pause)
    try:
        measured, errors = measure(url, "--connections", 8, "--rate", 400, duration=4)
        check(not errors and measured["unanswered"] == 0, measured)
        equal(measured["latency"]["count"], 1600, "each of the schedule counts once")
        for percentile in 90, 99:
            theory = 1000 * (pause - (1 - percentile / 100) * period)
            got = milliseconds(measured, percentile)
            check(0.9 * theory <= got <= theory + 60, percentile, "% is", got, "ms, in theory", theory)
        check(milliseconds(measured, 50) < 50, measured)
        measured, errors = measure(url, "--connections", 8, duration=4)
        check(not errors and milliseconds(measured, 99) < 100, "a closed loop sees little of it", measured)
        check(milliseconds(measured, 99.999) > 150, "but not nothing", measured)
    finally:
        end()


@test
def an_overloaded_server(_):
    """One that answers 100 a second and is asked 400: what could not be sent counts with all that it has waited."""
    def slow(connection, _):
        while data := connection.recv(65536):
            time.sleep(0.01)
            connection.sendall(data)
    with Peer(slow) as peer:
        measured, errors = measure(peer.url("tcp"), "--connections", 1, "--rate", 400, "--timeout", 0.4, duration=1)
        check(not errors and measured["unanswered"] > 0 and measured["answers"] <= 105, measured)
        equal(measured["latency"]["count"], 400)
        check(milliseconds(measured, 99) > 500, measured)


@test
def the_schedule(_):
    """A ramp, a warm-up, and a rate: so many requests are due, no more and no less."""
    times = []

    def noting(connection, _):
        while data := connection.recv(65536):
            times.append(time.monotonic())
            connection.sendall(data)
    with Peer(noting) as peer:
        measured, errors = measure(peer.url("tcp"), "--connections", 4, "--rate", 100, "--ramp", 0.5, warmup=0.2,
                                   duration=1)
        check(not errors and measured["latency"]["count"] == 100 and measured["answers"] <= 102, measured)
        check(149 <= len(times) <= 153, "100 measured, 20 of the warm-up, 31 of the ramp;", len(times))


@test
def comparing_and_sweeping(_):
    def slower(connection, _):
        while data := connection.recv(65536):
            time.sleep(0.004)
            connection.sendall(data)
    with Peer(echoing) as a, Peer(slower) as b:
        compared = bench("--compare", a.url("tcp"), b.url("tcp"), "--connections", 1, "--rounds", 3, duration=0.2)
        equal(compared["rounds"], 3)
        p50, rate = compared["comparison"]["p50"], compared["comparison"]["answers/s"]
        check(p50["ratio"] > 1.2 and p50["b"] > 4e6, compared)
        check(rate["interval"][0] <= rate["ratio"] <= rate["interval"][1] < 1, compared)
    lock = threading.Lock()

    def one_by_one(connection, _):
        while data := connection.recv(65536):
            with lock:
                time.sleep(0.005)
            connection.sendall(data)
    with Peer(one_by_one) as peer:  # 200 a second at most
        swept = bench(peer.url("tcp"), "--connections", 4, "--rate-sweep", "20,40,600", "--timeout", 1, duration=1)
        equal(swept["knee"], {"kept_up": 40.0, "too_much": 600.0})
        equal([each["rate"] for each in swept["runs"]], [20.0, 40.0, 600.0])
        swept = bench(peer.url("tcp"), "--connections", 4, "--rate-sweep", "20..40", "--limit", 0.001, duration=0.3)
        check(swept["knee"]["kept_up"] == 0 and len(swept["runs"]) == 2, "the limit is broken at once", swept)
