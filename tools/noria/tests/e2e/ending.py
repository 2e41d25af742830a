# SPDX-License-Identifier: MIT
"""The end: drains that lose nothing, and those that must be cut short."""

import hashlib
import signal
import socket
import threading
import time

from e2e.kit import LARGE, Server, check, equal, request_bytes, test


class Load(threading.Thread):
    """A client that asks again and again on one connection, until it is told that the connection ends."""

    def __init__(self, server, target, size):
        super().__init__()
        self.server, self.target, self.size = server, target, size
        self.answers, self.lost = 0, None

    def run(self):
        with self.server.connect() as client:
            try:
                while True:
                    client.send(request_bytes(self.target))
                    answer = client.response()
                    check(answer.status == 200 and len(answer.body) == self.size, answer.status)
                    self.answers += 1
                    if answer["connection"] == "close":
                        return
            except (OSError, EOFError, AssertionError) as error:
                self.lost = repr(error)


@test
def a_drain_under_load_loses_nothing(root):
    for _ in range(3):
        with Server(root, log=False) as server:
            loads = [Load(server, "/plain.txt", 10) for _ in range(12)]
            loads += [Load(server, "/sixty-five.bin", 65537) for _ in range(4)]
            loads += [Load(server, "/large.bin", len(LARGE))]
            for load in loads:
                load.start()
            time.sleep(0.4)
            server.end(signal.SIGTERM)
            for load in loads:
                load.join()
            equal([load.lost for load in loads], [None] * len(loads))
            check(all(load.answers > 0 for load in loads), "somebody was never answered")


@test
def a_drain_finishes_what_has_begun(root):
    with Server(root) as server:
        half, idle, fresh = [server.connect() for _ in range(3)]
        slow = server.connect(receive_buffer=65536)
        idle.send(request_bytes("/plain.txt"))
        equal(idle.response().status, 200)
        half.send(b"GET /plain.txt HTTP/1.1\r\nHost:")
        slow.send(request_bytes("/large.bin"))
        time.sleep(0.3)
        burst = server.connect()
        server.process.send_signal(signal.SIGTERM)
        burst.send(request_bytes("/plain.txt") * 20)
        check(idle.at_end(), "an idle connection is closed")
        answers = [burst.response() for _ in range(20)]
        equal([answer.status for answer in answers], [200] * 20)
        equal(answers[-1]["connection"], "close")
        half.send(b" x\r\n\r\n")
        answer = half.response()
        equal((answer.body, answer["connection"], half.at_end()), (b"0123456789", "close", True))
        check(hashlib.sha256(slow.response().body).digest() == hashlib.sha256(LARGE).digest(), "a download is finished")
        slow.socket.close()
        try:
            server.connect()
            raise AssertionError("a new connection in a drain")
        except ConnectionRefusedError:
            pass
        server.end(code=0)
        fresh.socket.close()


@test
def a_drain_that_must_end(root):
    for options, signals in (["--drain-timeout", "0.3"], [signal.SIGTERM]), ([], [signal.SIGINT, signal.SIGTERM]):
        with Server(root, *options) as server:
            with server.connect(receive_buffer=4096) as client:
                client.send(request_bytes("/large.bin"))
                time.sleep(0.2)
                server.end(*signals, code=3)
    with Server(root) as server:
        server.end(signal.SIGINT, code=0)
