#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Runs one example and checks what it does: check.py copy|echo|fanout|happy|hasher|ports|proxy|supervise|udp PROGRAM.
# Exit status 0: it does what it says.

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def connect(port, server):
    """A connection to a server that is about to listen."""
    end = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise SystemExit(f"the server does not listen (status {server.poll()})")


def receive(client, size):
    data = b""
    while len(data) < size and (part := client.recv(size - len(data))):
        data += part
    return data


def run(*command, text=""):
    """(status, lines of standard output, standard error) of a program that ends by itself; `text` is its input."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


def echo(program):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([program, str(port)]) as server:
        try:
            clients = [connect(port, server) for _ in range(5)]
            texts = [bytes([65 + i]) * (1 + i * 20000) for i in range(5)]
            for _ in range(2):
                for client, sent in zip(clients, texts):
                    client.sendall(sent)
                for client, sent in zip(clients, texts):
                    assert receive(client, len(sent)) == sent, "what came back is not what was sent"
            clients.pop().close()
            server.send_signal(signal.SIGTERM)
            for client in clients:
                assert client.recv(1) == b"", "a drained connection must end"
            assert server.wait(10) == 0, f"exit status {server.returncode} after SIGTERM"
        finally:
            server.kill()


def fanout(program):
    late = "late (Operation canceled)"
    answers = ["hello after 0 ms", "hello after 50 ms", "hello after 200 ms", late, late]
    wanted = [f"server {number}: {answer}" for number, answer in enumerate(answers)]
    status, lines, errors = run(program)
    assert (status, lines) == (0, wanted), (status, lines, errors)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def hasher(program):
    with tempfile.TemporaryDirectory() as folder:
        contents = [b"", b"foobar", bytes(range(256)) * 2048, b"noria\n" * 3] + [b"%d" % i for i in range(8)]
        paths = [Path(folder, f"file{i}") for i in range(len(contents))]
        for path, content in zip(paths, contents):
            path.write_bytes(content)
        wanted = [f"{fnv1a(content):016x}  {path}" for path, content in zip(paths, contents)]
        assert wanted[1].startswith("85944171f73967e8"), "the published hash of `foobar`"
        status, lines, errors = run(program, *paths)
        assert (status, lines) == (0, wanted), (status, lines, errors)
        missing = Path(folder, "missing")
        status, lines, errors = run(program, missing, paths[1])
        assert (status, lines) == (1, wanted[1:2]), "one bad file must not stop the others"
        assert f"{missing}: No such file" in errors, errors


def copy(program):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        contents = {f"d{i % 3}/e/f{i}": bytes([i % 251]) * (i * 977) for i in range(60)}
        contents["large"] = bytes(range(256)) * 4096 * 20
        for name, content in contents.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
            os.utime(source / name, ns=(1_000_000_007, 2_000_000_009))
        (source / "link").symlink_to("d0/e/f0")
        (source / "d1/e/f1").chmod(0o4751)
        (source / "empty").mkdir(mode=0o705)
        os.utime(source / "d2", ns=(5, 3_000_000_001))
        os.mkfifo(source / "fifo")
        size = sum(map(len, contents.values()))
        status, lines, errors = run(program, source, target)
        assert (status, lines) == (1, [f"{len(contents)} files, {size} bytes, 1 errors"]), (status, lines, errors)
        assert "fifo: Operation not supported" in errors and errors.count("\n") == 1, errors
        for name, content in contents.items():
            assert (target / name).read_bytes() == content, name
            assert (target / name).stat().st_mtime_ns == 2_000_000_009, name
        assert os.readlink(target / "link") == "d0/e/f0"
        assert (target / "d1/e/f1").stat().st_mode & 0o7777 == 0o4751
        assert (target / "empty").stat().st_mode & 0o7777 == 0o705
        assert (target / "d2").stat().st_mtime_ns == 3_000_000_001, "a directory's time is set when all is in it"
        assert sorted(p.name for p in target.iterdir()) == ["d0", "d1", "d2", "empty", "large", "link"]
        (target / "large").write_bytes(b"mine")
        assert run(program, source, target)[0] == 1, "what is there is not overwritten"
        assert (target / "large").read_bytes() == b"mine"
        status, lines, errors = run(program, target / "d0/e/f3", Path(folder, "single"))
        assert (status, lines) == (0, ["1 files, 2931 bytes, 0 errors"]), (status, lines, errors)
        assert run(program, Path(folder, "nowhere"), Path(folder, "other"))[0] == 1
        interrupted(program, source, Path(folder, "second"), contents)


def interrupted(program, source, target, contents):
    """SIGINT at some moment: what is there then is whole."""
    with subprocess.Popen([program, source, target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as copying:
        while copying.poll() is None and not (target / "large").exists():
            time.sleep(0.0005)
        copying.send_signal(signal.SIGINT)
        out = copying.stdout.read()
        copying.wait(10)
    # It may have ended just before, and taken its handler of the signal back.
    assert copying.returncode in (0, 1, -signal.SIGINT), copying.returncode
    assert b" files, " in out or copying.returncode < 0, out
    for name, content in contents.items():
        if (target / name).exists():
            assert (target / name).read_bytes() == content, f"{name} is not whole"


def listen(address, port=0, backlog=64):
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.bind((address, port))
    listener.listen(backlog)
    return listener, listener.getsockname()[1]


def happy(program):
    deaf, port = listen("127.0.0.1", backlog=0)
    other, _ = listen("127.0.0.2", port)
    crowd = [socket.socket() for _ in range(4)]  # more than may wait: what comes later is not answered
    for client in crowd:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
    assert run(program, str(port), "127.0.0.1", "127.0.0.2")[:2] == (0, ["connected to 127.0.0.2"])
    deaf.close()
    assert run(program, str(port), "127.0.0.1", "127.0.0.2")[:2] == (0, ["connected to 127.0.0.2"])
    other.close()
    status, lines, errors = run(program, str(port), "127.0.0.1", "127.0.0.2")
    assert (status, lines) == (1, []) and errors.count("task try_host #") == 2, errors


def ports(program):
    listener, port = listen("127.0.0.1")
    refusing = socket.socket()  # bound, and not listening
    refusing.bind(("127.0.0.1", 0))
    closed = refusing.getsockname()[1]
    status, lines, errors = run(program, text=f"127.0.0.1 {port}\n127.0.0.1 {closed}\n\nnonsense 1\n" * 50)
    assert status == 0, errors
    wanted = [f"127.0.0.1 {port} open", f"127.0.0.1 {closed} Connection refused", "nonsense 1 Invalid argument"]
    assert sorted(lines) == sorted(wanted * 50), lines
    listener.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ends(client):
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def refuses(port):
    """A server that closes its listener: it is found closed before long."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return True
        time.sleep(0.01)
    return False


def proxy(program):
    proxy_to(program, "127.0.0.1", "127.0.0.1:{}")
    if Path("/proc/net/if_inet6").exists():
        proxy_to(program, "::1", "[::1]:{}")
    proxy_to(program, "127.0.0.1", "localhost:{}")  # whose other address refuses
    for wrong in ("80", "::1:80", ":80", "host:"):
        assert run(program, "127.0.0.1:0", wrong)[0] == 2, wrong


def proxy_to(program, address, name):
    """The target listens on an address, and the proxy knows it by a name."""
    target, target_port = listen(address)
    port = free_port()
    with subprocess.Popen([program, f"127.0.0.1:{port}", name.format(target_port)]) as server:
        try:
            client, (behind, _) = connect(port, server), target.accept()
            for near, far in ((client, behind), (behind, client)):  # both ways, more than any buffer holds
                sent = bytes(range(256)) * 8192
                sender = threading.Thread(target=near.sendall, args=(sent,))
                sender.start()
                assert receive(far, len(sent)) == sent, "what came out is not what went in"
                sender.join()
            client.shutdown(socket.SHUT_WR)  # one half ends: the other still carries
            assert behind.recv(1) == b"", "the end of a half goes on"
            behind.sendall(b"late answer")
            assert receive(client, 11) == b"late answer", "a half that is open carries"
            behind.close()
            assert client.recv(1) == b"", "and ends by itself"

            client, (behind, _) = connect(port, server), target.accept()
            behind.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            behind.close()  # a reset
            assert ends(client), "one that breaks ends both sides"

            slow, (behind_slow, _) = connect(port, server), target.accept()
            slow.settimeout(0.3)
            try:
                while True:  # nobody reads behind: the sender is held up, by no more than buffers
                    slow.send(bytes(1 << 16))
            except TimeoutError:
                pass
            quick, (behind_quick, _) = connect(port, server), target.accept()
            quick.sendall(b"question")
            assert receive(behind_quick, 8) == b"question", "a slow reader holds up nobody else"
            slow.close()
            behind_slow.close()

            server.send_signal(signal.SIGTERM)
            assert refuses(port), "a drain takes no more connections"
            target.close()  # and with it what was let in before the listener closed, of which nobody else sees the end
            behind_quick.sendall(b"answer")
            assert receive(quick, 6) == b"answer", "a drain lets a connection come to its end"
            quick.close()
            assert behind_quick.recv(1) == b""
            behind_quick.close()
            assert server.wait(10) == 0, f"exit status {server.returncode} after SIGTERM"
        finally:
            server.kill()
            target.close()


def supervise(program):
    status, lines, errors = run(program, "-r", "1", "exit 0", "exit 3", "kill -KILL $$")
    assert status == 1 and errors.count(": given up") == 2, (status, errors)
    wanted = ["exit 0: exit status 0"] + 2 * ["exit 3: exit status 3"] + 2 * ["kill -KILL $$: killed by signal 9"]
    assert sorted(lines) == sorted(wanted), lines
    # What it runs ends with it, also what that has started, and what does not want to.
    commands = ["sleep 1000 & echo up; wait", "trap '' TERM; echo up; while :; do sleep 1; done"]
    with subprocess.Popen([program, *commands], stdout=subprocess.PIPE, text=True) as supervisor:
        try:
            assert [supervisor.stdout.readline() for _ in commands] == ["up\n", "up\n"]
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.stdout.read() == "", "the end of the pipe says that nobody is left"
            assert supervisor.wait(10) == 0, f"exit status {supervisor.returncode} after SIGTERM"
        finally:
            supervisor.kill()


def udp(program):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([program, str(port)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
            for number, client in enumerate(clients):
                client.settimeout(10)
                client.connect(("127.0.0.1", port))
                for question in range(20):
                    client.send(b"question %d of %d " % (question, number))
            for number, client in enumerate(clients):
                for question in range(20):
                    answer = client.recv(2000)
                    start = b"question %d of %d " % (question, number)
                    assert answer.startswith(start), answer
                    assert abs(int(answer[len(start):]) / 1e9 - time.time()) < 60, "that is not the time"
                client.close()
            server.send_signal(signal.SIGTERM)
            assert server.wait(10) == 0, f"exit status {server.returncode} after SIGTERM"
            told = server.stdout.read().split()
            assert told[:3] == ["100", "answered", "in"] and told[-2:] == ["0", "dropped"], told
        finally:
            server.kill()


if __name__ == "__main__":
    checks = {"copy": copy, "echo": echo, "fanout": fanout, "happy": happy, "hasher": hasher, "ports": ports,
              "proxy": proxy, "supervise": supervise,
              "udp": udp}
    checks[sys.argv[1]](sys.argv[2])
