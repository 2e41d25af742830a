#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`compare`, with two servers and very short turns, and how peers that cannot be built are left out. compare_e2e.py BUILD"""
import json
import os
import subprocess
import sys
import tempfile

BUILD = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def check(name, fine, seen):
    print("ok" if fine else "NOT OK", name)
    if not fine:
        print(seen)
        sys.exit(1)


def compare(*arguments):
    return run(os.path.join(HERE, "compare"), "--build", BUILD, "--servers", "epoll,noria,absent", "--server",
               "absent=/nowhere/server", "--placement", "one", "--rounds", "1", "--seconds", "0.1", "--connections", "8",
               *arguments)


status, output, errors = compare("--json")
check("compare --json", status == 0, output + errors)
check("what is not there is left out with a line", "absent: left out, there is no program" in errors, errors)
result = json.loads(output)["placements"]["one"]
check("two servers", list(result["servers"]) == ["epoll", "noria"], list(result["servers"]))
for name, server in result["servers"].items():
    figures = [server[key] for key in ("cpu_ns_per_request", "requests_per_second", "p50_ns", "p99_ns", "p999_ns")]
    check(f"{name}: each figure, later percentiles not before earlier ones",
          min(figures) > 0 and figures[2:] == sorted(figures[2:]), server)
calls = [server["syscalls_per_request"] for server in result["servers"].values()]
if result["syscalls_why_not"]:
    check("system calls: a reason and no number", calls == [None, None], calls)
else:
    check("system calls of epoll: a receive, a send, a part of a wait", 2 <= calls[0] <= 3.1, calls)
    check("system calls of noria: it receives without", 0 < calls[1] < calls[0], calls)

status, output, errors = compare()
check("compare's table", status == 0 and all(word in output for word in ("calls", "p99.9", "epoll", "noria")), output)
check("... says why system calls were not counted, or counts them",
      (" - " in output) == ("System calls were not counted" in output), output)

LISTEN = """import socket
s = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
while True: s.accept()[0].close()"""
status, output, errors = compare("--server", f"rude={sys.executable} -c '{LISTEN}'")
check("a server that hangs up is named", status == 2 and "loading rude\n" in errors, errors)

with tempfile.TemporaryDirectory() as folder:
    source, program, compiler = (os.path.join(folder, name) for name in ("echo_go.go", "echo_go", "go"))
    for path, text in ((source, "package main\n"), (program, "old"),
                       (compiler, '#!/bin/sh\n: "$GOCACHE"; [ "$GOPROXY" = off ] && echo new >"$3"\n')):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    os.chmod(compiler, 0o755)
    build_peer = os.path.join(HERE, "build_peer")

    seen = run(build_peer, "go", "false", folder, source)
    check("a peer that cannot be built is no failure, and gone",
          seen[0] == 0 and "left out" in seen[1] and not os.path.exists(program), seen)
    seen = run(build_peer, "tokio", "false", folder, source)
    check("... of the other language too", seen[0] == 0 and "left out" in seen[1] and not os.path.exists(program), seen)
    seen = run(build_peer, "go", compiler, folder, source)
    check("one that can, is there", seen[0] == 0 and os.path.exists(program), seen)
