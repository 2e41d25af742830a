#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# The servers that the tutorial's programs talk to: `fleet.py apple cherry -- PROGRAM [ARGUMENT...]` starts the named
# servers on free ports of the loopback, runs PROGRAM ARGUMENT... apple=PORT cherry=PORT, and stops them when it has ended.
#
# The protocol: the client sends "status", the server answers "ok" and its load, the client sends "bye". A server whose
# client leaves without it keeps the session for a minute; which ones were left so is told at the end.
#
#   apple   answers                          date    is down: nobody listens
#   banana  answers                          elder   answers what no protocol knows
#   cherry  answers half a line, no more     fig     hangs up on the first two connections, then answers
#   grape   answers, but first has its client told to end (SIGTERM)

import signal
import socket
import subprocess
import sys
import threading
import time


class Server:
    def __init__(self, name):
        self.name = name
        self.asked = 0
        self.rude = False
        self.program = threading.Event()  # it has been started
        self.process = None
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.sessions = []
        self.last = threading.Event()  # every connection has been accepted
        if name != "date":
            self.socket.listen(64)
            threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.socket.accept()
            thread = threading.Thread(target=self.serve, args=[client], daemon=True)
            self.sessions.append(thread)
            thread.start()

    def serve(self, client):
        with client, client.makefile("r") as lines:
            try:
                request = lines.readline()
                if request == "last\n":
                    self.last.set()
                if request != "status\n":
                    return
                self.asked += 1
                if self.name == "fig" and self.asked <= 2:
                    return
                if self.name == "grape":
                    self.program.wait()
                    time.sleep(0.1)  # what the others answer comes first
                    self.process.send_signal(signal.SIGTERM)
                    time.sleep(0.1)  # and by then it has been heard
                client.sendall(self.answer())
                self.rude |= lines.readline() != "bye\n"
            except ConnectionError:
                self.rude = True

    def answer(self):
        return {"elder": b"42?\n", "cherry": b"ok "}.get(self.name) or b"ok %d\n" % len(self.name)

    def wait(self):
        """Until all its sessions have ended. Connections are accepted in their order: one of our own is the last."""
        if self.name != "date":
            with socket.create_connection(("127.0.0.1", self.port)) as client:
                client.sendall(b"last\n")
                self.last.wait()
        for session in self.sessions:
            session.join()


def main():
    if "--" not in sys.argv:
        raise SystemExit("usage: fleet.py NAME... -- PROGRAM [ARGUMENT...]")
    split = sys.argv.index("--")
    servers = [Server(name) for name in dict.fromkeys(sys.argv[1:split])]
    command = sys.argv[split + 1:] + [f"{server.name}={server.port}" for server in servers]
    with subprocess.Popen(command) as process:
        for server in servers:
            server.process = process
            server.program.set()
    for server in servers:
        server.wait()
        if server.rude:
            print(f"fleet: {server.name} was left without a bye", flush=True)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
