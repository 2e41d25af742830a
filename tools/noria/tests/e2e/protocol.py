# SPDX-License-Identifier: MIT
"""HTTP/1.1 and 1.0: pipelining, bodies, and what must be refused."""

import contextlib
import random
import socket
import threading

from e2e.kit import LARGE, SECRET, Server, check, equal, request_bytes, settle, test


@test
def pipelining(root):
    targets = ["/plain.txt", "/sub/page.html", "/nothing", "/sixty-five.bin", "/empty"] * 40
    with Server(root) as server:
        together = b"".join(request_bytes(target) for target in targets)
        for size in len(together), 1000, 37:
            with server.connect() as client:
                sender = threading.Thread(target=lambda: [client.send(together[at:at + size])
                                                          for at in range(0, len(together), size)])
                sender.start()
                answers = [client.response() for _ in targets]
                sender.join()
                equal([answer.status for answer in answers], [200, 200, 404, 200, 200] * 40)
                check(all(answer.body == LARGE[:65537] for answer in answers[3::5]), "bodies mixed up")
        with server.connect() as client:
            client.send(request_bytes("/plain.txt", "Connection: close") + request_bytes("/plain.txt"))
            equal(client.response()["connection"], "close")
            check(client.at_end(), "nothing is answered after close")


@test
def keep_alive_and_versions(root):
    with Server(root) as server:
        with server.connect() as client:
            client.send(b"GET /plain.txt HTTP/1.0\r\n\r\n")
            equal((client.response()["connection"], client.at_end()), ("close", True))
        with server.connect() as client:
            for _ in range(2):
                client.send(b"GET /plain.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                equal(client.response()["connection"], "keep-alive")
        with server.connect() as client:
            client.send(request_bytes("/plain.txt", "Connection: close"))
            equal((client.response().body, client.at_end()), (b"0123456789", True))
        with server.connect() as client:  # a client that has said all it has to say is answered
            client.send(request_bytes("/plain.txt"))
            client.socket.shutdown(socket.SHUT_WR)
            equal((client.response().body, client.at_end()), (b"0123456789", True))


@test
def bodies(root):
    with Server(root) as server:
        with server.connect() as client:
            client.send(request_bytes("/plain.txt", "Content-Length: 5") + b"hello" + request_bytes("/empty"))
            equal([client.response().status, client.response().status], [200, 200])
            client.send(request_bytes("/plain.txt", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n")
            equal(client.response().status, 200)
            client.send(request_bytes("/plain.txt", "Expect: 100-continue", "Content-Length: 5"))
            equal(client.response().status, 100)
            client.send(b"hello")
            equal(client.response().status, 200)
        refused = [
            (413, "Content-Length: 1000000"), (413, "Expect: 100-continue", "Content-Length: 1000000"),
            (417, "Expect: something", "Content-Length: 1"),
        ]
        for status, *headers in refused:
            with server.connect() as client:
                client.send(request_bytes("/plain.txt", *headers))
                equal((client.response().status, client.at_end()), (status, True), headers)
        with server.connect() as client:  # an upload that goes on although it is refused still learns why
            client.send(request_bytes("/plain.txt", "Transfer-Encoding: chunked", method="POST"))
            chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
            with contextlib.suppress(OSError):
                for _ in range(40):
                    client.send(chunk)
            equal((client.response().status, client.at_end()), (405, True))


@test
def malformed(root):
    cases = [
        (400, b"GARBAGE\r\n\r\n"), (400, b"GET /plain.txt HTTP/1.1\r\n\r\n"),
        (400, b"GET /plain.txt HTTP/1.1\nHost: x\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"), (400, b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nNul: \0\r\n\r\n"), (400, b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"),
        (501, b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n"), (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 65536 + b"\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 11000 + b"\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"If-Match: \"abcdefgh\"\r\n" * 3000 + b"\r\n"),
        (431, b"\r\n" * 32768), (405, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ]
    with Server(root) as server:
        for status, data in cases:
            with server.connect() as client:
                with contextlib.suppress(OSError):
                    client.send(data)
                answer = client.response()
                equal((answer.status, answer["connection"]), (status, "close"), data[:60])
                check(client.at_end(), "the connection ends after", data[:60])
        for target in "/%zz", "/a%00b", "plain.txt", "*", "ftp://x/":
            equal(server.get(target).status, 400, target)
        equal(server.get("/plain.txt").status, 200)
    with Server(root, "--max-header", "128K") as server:
        equal(server.get("/plain.txt", "X: " + "y" * 65536).status, 200)


@test
def truncated_requests(root):
    whole = request_bytes("/plain.txt", "Range: bytes=0-1")
    with Server(root) as server:
        server.get("/")
        before = server.descriptors()
        for size in range(1, len(whole)):
            with server.connect() as client:
                client.send(whole[:size])
                client.socket.shutdown(socket.SHUT_WR)
                equal(client.response().status, 400, whole[:size])
            client = server.connect()
            client.send(whole[:size])
            client.reset() if size % 2 else client.socket.close()
        with server.connect() as client:
            client.socket.shutdown(socket.SHUT_WR)
            check(client.at_end(), "nothing asked, nothing answered")
        settle(server, before)


@test
def nothing_outside_is_served(root):
    up = ["..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "..%00",
          "..;", "...", "..%5c", "..\\", "%5c..", "way-up", "way-etc", "sub/../..", "sub/%2e%2e/%2e%2e", "./..", ".//..",
          "%uff0e%uff0e"]
    ends = ["secret", "../secret", "secret/", "%73ecret", "secret%00.txt", "..%2fsecret", "..%5csecret",
            "passwd", "etc/passwd"]
    slashes = ["/", "//", "%2f", "%2F", "%5c", "\\", "%252f", "/./"]
    targets = ["/way-out", "/way-up/secret", "/way-etc/passwd", "//way-out", "/way-out/", "/way-up/site/../secret"]
    targets += [f"/{a}{slash}{end}" for a in up for slash in slashes for end in ends]
    targets += ["/" + (a + slash) * 8 + "etc/passwd" for a in up for slash in slashes]
    targets += [f"http://x/{a}/secret" for a in up]
    targets += ["../secret", "..", "/..", "/../", "file:///etc/passwd", "/proc/self/environ"]
    with Server(root, log=False) as server:
        client = server.connect()
        for target in targets:
            client.send(request_bytes(target))
            answer = client.response()
            check(answer.status in (400, 403, 404), target, "gave", answer.status)
            check(SECRET not in answer.body and b"root:" not in answer.body, target)
            if answer["connection"] == "close":
                client.socket.close()
                client = server.connect()
        client.socket.close()


@test
def noise(root):
    rng = random.Random(3)
    good = request_bytes("/plain.txt", "Range: bytes=0-1", "If-Match: \"a\", W/\"b\"", "Content-Length: 3") + b"abc"
    with Server(root, "--header-timeout", "1", log=False) as server:
        server.get("/")
        before = server.descriptors()
        for round_number in range(300):
            data = bytearray(good * 3)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if round_number % 3 == 0:
                data = rng.randbytes(rng.randrange(1, 5000))
            client = server.connect()
            with contextlib.suppress(OSError):
                client.send(bytes(data))
                if round_number % 2:
                    client.socket.shutdown(socket.SHUT_WR)
                    client.at_end()
            client.reset() if round_number % 5 == 0 else client.socket.close()
        equal(server.get("/plain.txt").body, b"0123456789")
        settle(server, before)
