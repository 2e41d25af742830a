# SPDX-License-Identifier: MIT
"""Time and limits: slow, stalled and vanishing clients, too many of them, too few descriptors."""

import contextlib
import hashlib
import os
import select
import socket
import threading
import time

from e2e.kit import LARGE, PATIENCE, Server, check, equal, request_bytes, settle, test


@test
def slow_clients(root):
    with Server(root, "--header-timeout", "0.5", "--idle-timeout", "0.3") as server:
        with server.connect() as client:  # a byte now and then does not buy time
            start = time.monotonic()
            for byte in request_bytes("/plain.txt", "X: " + "y" * 100):
                if select.select([client.socket], [], [], 0.05)[0]:
                    break
                client.send(bytes([byte]))
            equal((client.response().status, client.at_end()), (408, True))
            check(0.4 < time.monotonic() - start < 0.5 + PATIENCE / 2, "after", time.monotonic() - start)
        with server.connect() as client:
            check(client.at_end(), "a connection without a request is closed without a word")
        with server.connect() as client:
            client.send(request_bytes("/plain.txt"))
            equal(client.response().status, 200)
            start = time.monotonic()
            check(client.at_end(), "an idle connection is closed without a word")
            check(0.2 < time.monotonic() - start < 0.3 + PATIENCE / 2, "after", time.monotonic() - start)
        with server.connect() as client:  # slow, but in time, also after a pause longer than the buffer is kept
            for _ in range(2):
                data = request_bytes("/plain.txt")
                for at in range(0, len(data), 10):
                    client.send(data[at:at + 10])
                    time.sleep(0.01)
                equal(client.response().status, 200)
                time.sleep(0.15)


@test
def stalled_readers(root):
    with Server(root, "--send-timeout", "0.5") as server:
        server.get("/large.bin")
        before = server.descriptors()
        clients = [server.connect(receive_buffer=4096) for _ in range(8)]
        for client in clients:
            client.send(request_bytes("/large.bin"))
        equal(server.get("/plain.txt").status, 200, "others are served meanwhile")
        settle(server, before)
        for client in clients:
            with contextlib.suppress(OSError):
                try:
                    client.response()
                    raise AssertionError("a stalled reader was waited for")
                except EOFError:
                    pass
            client.socket.close()


@test
def files_that_shrink(root):
    with Server(root) as server:
        with server.connect(receive_buffer=4096) as client:
            client.send(request_bytes("/large.bin"))
            client.fill()
            os.truncate(os.path.join(root, "large.bin"), 1000)
            try:
                client.response()
                raise AssertionError("more bytes than there are")
            except EOFError:
                pass
        equal(server.get("/large.bin").body, LARGE[:1000])


@test
def files_that_shrink_before_they_are_sent(root):
    """Between the look at its size and the first byte read: there is still time for an answer that says so."""
    path, size, seen, ended = os.path.join(root, "sixty-five.bin"), 65537, set(), threading.Event()

    def change():
        while not ended.is_set():
            os.truncate(path, 0)
            os.truncate(path, size)

    with Server(root) as server:
        changer = threading.Thread(target=change)
        changer.start()
        try:
            end = time.monotonic() + 60
            while 503 not in seen and time.monotonic() < end:
                with server.connect() as client, contextlib.suppress(EOFError):  # cut: it shrank while it was sent
                    client.send(request_bytes("/sixty-five.bin"))
                    answer = client.response()
                    check(answer.body.strip(b"\0") == b"" if answer.status == 200 else answer["retry-after"] == "1", answer.body)
                    seen.add(answer.status)
        finally:
            ended.set()
            changer.join()
        check(503 in seen, seen)
        os.truncate(path, size)
        equal(server.get("/sixty-five.bin").body, bytes(size))


@test
def connection_limit(root):
    with Server(root, "--max-connections", "3") as server:
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.send(request_bytes("/plain.txt"))
            equal(client.response().status, 200)
        for _ in range(5):
            refused = server.get("/plain.txt")
            equal((refused.status, refused["connection"], refused["retry-after"]), (503, "close", "1"))
        clients.pop().socket.close()
        end = time.monotonic() + PATIENCE
        while server.get("/plain.txt").status == 503:
            check(time.monotonic() < end, "a place became free, and nobody may have it")
        for client in clients:
            client.send(request_bytes("/plain.txt"))
            equal(client.response().status, 200)
            client.socket.close()


@test
def the_refused_do_not_hold_the_door(root):
    with Server(root, "--max-connections", "1", "--header-timeout", "1") as server:
        first = server.connect()
        first.send(request_bytes("/plain.txt"))
        equal(first.response().status, 200)
        silent = [server.connect() for _ in range(80)]  # more than are refused at once
        first.socket.close()
        end = time.monotonic() + PATIENCE
        while server.get("/plain.txt").status == 503:
            check(time.monotonic() < end, "silent clients keep the others out")
        for client in silent:
            client.socket.close()


@test
def killed_clients_leave_nothing(root):
    with Server(root, log=False) as server:
        server.get("/large.bin")
        before = server.descriptors()
        for round_number in range(400):
            client = server.connect(receive_buffer=4096 if round_number % 4 == 3 else 0)
            if round_number % 4 == 1:
                client.send(b"GET /plain.txt HT")
            elif round_number % 4 >= 2:
                client.send(request_bytes("/plain.txt" if round_number % 4 == 2 else "/large.bin") * 3)
            client.reset()
        settle(server, before)
        equal(server.get("/plain.txt").status, 200)


@test
def few_descriptors(root):
    few = ["sh", "-c", 'ulimit -n 40 && exec "$0" "$@"']
    with Server(root, log=False, under=few) as server:
        clients = [server.connect() for _ in range(60)]
        time.sleep(0.2)
        for client in clients:
            client.socket.close()
        equal(server.get("/plain.txt").status, 200, "it goes on when descriptors come back")


@test
def more_downloads_than_pipes(root):
    few = ["sh", "-c", 'ulimit -n 64 && exec "$0" "$@"']
    with Server(root, under=few) as server:
        slow = [server.connect(receive_buffer=4096) for _ in range(8)]
        for client in slow:
            client.send(request_bytes("/large.bin"))
            client.fill()
        for _ in range(2):
            for target, size in ("/seventeen.bin", 16385), ("/sixty-five.bin", 65537), ("/large.bin", len(LARGE)):
                equal(hashlib.sha256(server.get(target).body).digest(), hashlib.sha256(LARGE[:size]).digest(), target)
        equal(server.get("/large.bin", "Range: bytes=3-100002").body, LARGE[3:100003])
        for client in slow[:4]:
            equal(hashlib.sha256(client.response().body).digest(), hashlib.sha256(LARGE).digest())
        for client in slow:
            client.socket.close()
