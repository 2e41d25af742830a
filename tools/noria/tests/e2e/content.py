# SPDX-License-Identifier: MIT
"""What is served: files, directories, ranges, conditions."""

import hashlib
import os
import re
import threading
import time

from e2e.kit import LARGE, SECRET, Server, check, equal, request_bytes, test


@test
def files_and_types(root):
    with Server(root) as server:
        page = server.get("/sub/page.html")
        equal((page.status, page.body), (200, b"<p>page</p>\n"))
        equal(page["content-type"], "text/html; charset=utf-8")
        equal(page["accept-ranges"], "bytes")
        equal(server.get("/sub/deep/x.json")["content-type"], "application/json")
        equal(server.get("/").body, b"<h1>front</h1>\n")
        equal(server.get("/with/").body, b"with index\n")
        equal(server.get("/a%20b%26%3Cc%3E.md").body, b"# odd name\n")
        equal(server.get("/way-in").body, b"0123456789")
        equal(server.get("/.well-known/acme").body, b"token\n")
        equal(server.get("/back%5Cslash.txt").body, b"backslash\n")
        equal(server.get("/dir.html/inner.txt").body, b"inner")
        equal(server.get("http://test/plain.txt?query").body, b"0123456789")
        empty = server.get("/empty")
        equal((empty.status, empty.body, empty["content-length"]), (200, b"", "0"))
        for target in "/nothing", "/sub/nothing/x", "/plain.txt/", "/plain.txt/x", "/" + "n" * 300, "/.hidden":
            equal(server.get(target).status, 404, target)
        equal(server.get("/fifo").status, 403)


@test
def directories(root):
    with Server(root) as server:
        moved = server.get("/sub?a=b")
        equal((moved.status, moved["location"]), (301, "/sub/?a=b"))
        equal(server.get("//sub")["location"], "/sub/", "no redirect to another host")
        listing = server.get("/sub/")
        equal(listing.status, 200)
        check(b'href="./deep/"' in listing.body and b'href="./page.html"' in listing.body, listing.body)
        os.remove(os.path.join(root, "index.html"))
        listing = server.get("/").body
        check(b"a b&#38;&#60;c&#62;.md" in listing and b"a%20b%26%3Cc%3E.md" in listing, listing)
        check(b".hidden" not in listing, "hidden files are not listed")
    with Server(root, "--no-listing", "--hidden") as server:
        equal(server.get("/sub/").status, 403)
        equal(server.get("/nowhere/").status, 404)
        equal(server.get("/.hidden").body, SECRET)


@test
def head_and_methods(root):
    with Server(root) as server:
        with server.connect() as client:
            for _ in range(3):
                client.send(request_bytes("/plain.txt", method="HEAD"))
                head = client.response(head=True)
                equal((head.status, head["content-length"]), (200, "10"))
            client.send(request_bytes("/nothing", method="HEAD"))
            equal(client.response(head=True).status, 404)
            client.send(request_bytes("/large.bin", method="HEAD"))
            equal(client.response(head=True)["content-length"], str(len(LARGE)))
            for method in "POST", "PUT", "DELETE", "TRACE", "PATCH":
                client.send(request_bytes("/plain.txt", "Content-Length: 3", method=method) + b"abc")
                refused = client.response()
                equal((refused.status, refused["allow"]), (405, "GET, HEAD, OPTIONS"), method)
            client.send(request_bytes("*", method="OPTIONS"))
            equal(client.response()["allow"], "GET, HEAD, OPTIONS")
            client.send(request_bytes("/plain.txt"))
            equal(client.response().body, b"0123456789")


@test
def ranges(root):
    cases = [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"), ("bytes=2-5", 206, b"2345", "bytes 2-5/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"), ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-100", 206, b"0123456789", "bytes 0-9/10"), ("bytes=5-1000", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, None, "bytes */10"), ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None), ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None), ("bytes=99999999999999999999-", 416, None, "bytes */10"),
    ]
    with Server(root) as server:
        for value, status, body, content_range in cases:
            part = server.get("/plain.txt", f"Range: {value}")
            equal((part.status, part["content-range"]), (status, content_range), value)
            check(body is None or part.body == body, value, part.body)
        equal(server.get("/empty", "Range: bytes=0-").status, 416)
        whole = server.get("/plain.txt", "Range: bytes=1-2", method="HEAD")
        equal((whole.status, whole["content-length"]), (200, "10"), "ranges are for GET")
        for first, last in (0, 0), (1, 65536), (7, 16390), (7, 16391), (65535, 65536 * 3), (len(LARGE) - 70000, len(LARGE) - 1):
            part = server.get("/large.bin", f"Range: bytes={first}-{last}")
            check(part.status == 206 and part.body == LARGE[first:last + 1], "large range", first, last)


@test
def conditions(root):
    old = time.time() - 100
    os.utime(os.path.join(root, "plain.txt"), (old, old))
    with Server(root) as server:
        whole = server.get("/plain.txt")
        tag, modified = whole["etag"], whole["last-modified"]
        check(re.fullmatch(r'"[0-9a-f-]+"', tag), tag)
        early, late = "Sun, 06 Nov 1994 08:49:37 GMT", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        cases = [
            (200, 'If-None-Match: "x"'), (304, f"If-None-Match: {tag}"), (304, f'If-None-Match: "x", W/{tag}'),
            (304, "If-None-Match: *"), (304, f"If-Modified-Since: {modified}"), (200, f"If-Modified-Since: {early}"),
            (304, f"If-Modified-Since: {late}"), (200, "If-Modified-Since: soon"),
            (200, 'If-None-Match: "x"', f"If-Modified-Since: {late}"), (200, f"If-Match: {tag}"), (200, "If-Match: *"),
            (412, 'If-Match: "x"'), (412, f"If-Match: W/{tag}"), (200, f"If-Unmodified-Since: {modified}"),
            (412, f"If-Unmodified-Since: {early}"), (304, 'If-None-Match: "x"', f"If-None-Match: {tag}"),
            (206, "Range: bytes=0-1", f"If-Range: {tag}"), (200, "Range: bytes=0-1", 'If-Range: "x"'),
            (206, "Range: bytes=0-1", f"If-Range: {modified}"), (200, "Range: bytes=0-1", f"If-Range: {early}"),
            (200, "Range: bytes=0-1", f"If-Range: W/{tag}"), (304, "Range: bytes=0-1", f"If-None-Match: {tag}"),
        ]
        with server.connect() as client:
            for status, *headers in cases:
                client.send(request_bytes("/plain.txt", *headers))
                answer = client.response()
                equal(answer.status, status, headers)
                equal(answer["etag"], tag, headers)
                check(status != 304 or "content-length" not in answer.headers, "304 with a length")
        equal(server.get("/nothing", "If-None-Match: *").status, 404, "conditions are for what is there")
        with open(os.path.join(root, "plain.txt"), "ab") as out:
            out.write(b"more")
        check(server.get("/plain.txt", f"If-None-Match: {tag}").status == 200, "a changed file has another tag")


@test
def large_files_arrive_whole(root):
    digest = hashlib.sha256(LARGE).hexdigest()
    with Server(root) as server:
        results = []

        def fetch():
            with server.connect() as client:
                for target, size in (("/sixty-five.bin", 65537), ("/sixteen.bin", 16384), ("/large.bin", len(LARGE)),
                                     ("/seventeen.bin", 16385), ("/sixty-four.bin", 65536)):
                    client.send(request_bytes(target))
                    body = client.response().body
                    results.append(hashlib.sha256(body).digest() == hashlib.sha256(LARGE[:size]).digest())

        threads = [threading.Thread(target=fetch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(results, [True] * 20, digest)
