# SPDX-License-Identifier: MIT
"""What is reported: text, files, arguments, and an early end."""

import csv
import itertools
import json
import os
import re
import signal
import subprocess
import time
from xml.etree import ElementTree

from e2e.kit import NORIA, PATIENCE, check, equal, test
from e2e.peer import Peer, answering, bench, measure, milliseconds, ok, requests, run


def elements(path, name):
    return ElementTree.parse(path).getroot().iter("{http://www.w3.org/2000/svg}" + name)


@test
def the_text(_):
    with Peer(answering(ok())) as peer:
        out, errors = run(peer.url(), "--duration", 0.3, "--warmup", 0, "--connections", 2)
        check(re.search(r"2 connections, 1 thread, closed loop, (299|30\d) ms\n  [\d,.]+ answers/s, ", out), out)
        check(re.search(r"\n    99.999 %  [\d.]+ [um]s\n", out) and "status  2xx: " in out, out)
        check("errors" not in out and errors == "", out, errors)
        out, _ = run("--compare", peer.url(), peer.url(), "--duration", 0.1, "--rounds", 2, "--connections", 2)
        check(re.search(r"\n  p99 +[\d.]+ [um]s +[\d.]+ [um]s +\d+\.\d{3}  \[\d+\.\d{3} \d+\.\d{3}\]\n", out), out)
        out, _ = run(peer.url(), "--rate-sweep", "100,200", "--duration", 0.1, "--connections", 2)
        check("knee: above 200/s, the highest rate" in out, out)


@test
def the_files(root):
    def path(name):
        return os.path.join(root, name)
    with Peer(answering(ok())) as peer:
        measured, _ = measure(peer.url(path="/<&>\""), "--connections", 2, "--hgrm", path("a.hgrm"), "--csv", path("a.csv"),
                              "--svg", path("a.svg"), duration=0.5)
        with open(path("a.csv"), encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
        equal(sum(int(row["answers"]) for row in rows), measured["answers"])
        equal([row["time_s"] for row in rows], ["0.0", "0.1", "0.2", "0.3", "0.4"])
        with open(path("a.hgrm"), encoding="utf-8") as text:
            lines = text.read().splitlines()
        check(re.match(r" +Value +Percentile +TotalCount +1/\(1-Percentile\)", lines[0]), lines[0])
        median = [float(line.split()[0]) for line in lines if re.match(r" +[\d.]+ +0\.5000", line)]
        check(abs(median[0] - milliseconds(measured, 50)) <= 0.01 * median[0] + 0.001, median, measured)
        check(re.search(rf"Total count += +{measured['latency']['count']}\]", lines[-2]), lines[-2])
        texts = [each.text for each in elements(path("a.svg"), "text")]
        check("Latency by percentile" in texts and any("/<&>" in each for each in texts), texts)
        bench(peer.url(), "--rate-sweep", "50,100,200", "--hgrm", path("b.hgrm"), "--svg", path("b.svg"), duration=0.2)
        equal(sorted(name for name in os.listdir(root) if name.startswith(("b-", "b."))), ["b-100.hgrm", "b-200.hgrm", "b-50.hgrm", "b.svg"])
        texts = [each.text for each in elements(path("b.svg"), "text")]
        check("Latency by rate" in texts and {"50/s", "100/s", "200/s"} <= set(texts), texts)
        colours = {each.get("stroke") for each in elements(path("b.svg"), "path") if each.get("class") == "line"}
        check(len(colours) == 4, "three runs, and what is drawn across them", colours)


def refusing(connection, _):
    for _ in requests(connection):
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


@test
def the_exit_status(_):
    """What a script can rely on: 0 only if there was an answer that was a success, of each server that is compared."""
    def by_turns(succeeds):
        turns = itertools.count()

        def serve(connection, _):
            for _ in requests(connection):
                status = b"200 OK" if succeeds(next(turns)) else b"503 Service Unavailable"
                connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        return serve

    def silent(connection, _):
        while connection.recv(65536):
            pass
    moved = answering(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    short = ["--duration", 0.2, "--warmup", 0, "--connections", 2, "--timeout", 0.1]
    sweep = ["--rate-sweep", "50,100"]
    with (Peer(answering(ok())) as good, Peer(refusing) as bad, Peer(by_turns(lambda turn: turn % 5 == 0)) as some, Peer(silent) as mute,
          Peer(moved) as other, Peer(by_turns(lambda turn: turn > 15)) as late):
        for arguments, code in [
            ([good.url()], 0), ([bad.url()], 4), ([some.url()], 0), ([mute.url()], 1), ([other.url()], 0),
            ([good.url(), *sweep], 0), ([bad.url(), *sweep], 4), ([some.url(), *sweep], 0), ([late.url(), *sweep], 0),
            ([mute.url(), *sweep], 1),
            (["--compare", good.url(), other.url(), "--rounds", 1], 0), (["--compare", good.url(), bad.url(), "--rounds", 1], 4),
            (["--compare", bad.url(), good.url(), "--rounds", 1], 4), (["--compare", bad.url(), mute.url(), "--rounds", 1], 1),
            (["--compare", mute.url(), good.url(), "--rounds", 1], 1),
        ]:
            out, errors = run(*arguments, *short, code=code)
            equal(("! no answer was a success" in out, errors), (bad.url() in arguments, ""), arguments, out)
            out, errors = run("--json", *arguments, *short, code=code)
            check({0: "", 1: "no answer at all", 4: "no success among"}[code] in errors and bool(errors) == bool(code), arguments, errors)
            check(json.loads(out)["runs"], "it is reported all the same")
        out, _ = run("--help")
        check("Exit status: 0 measured" in out and "4 measured, and no answer" in out, out)


@test
def an_early_end(_):
    with Peer(answering(ok())) as peer:
        for options in [], ["--rate", "0.5"], ["--compare", peer.url()]:
            process = subprocess.Popen([*NORIA, "bench", peer.url(), "--duration", "60", "--warmup", "0", *options],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(0.7)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=PATIENCE)
            half = "--compare" in options
            check(process.returncode == half and (half or b"answers/s" in out), options, process.returncode, out, errors)


@test
def arguments(_):
    with Peer(answering(ok())) as peer:
        url = peer.url()
        for given, code, text in [
            (["--help"], 0, "--rate-sweep"), ([], 2, "which server"), ([url, url], 2, "--compare"),
            (["--compare", url], 2, "which two"), ([url, "--nonsense"], 2, "unknown option"),
            ([url, "--rate", "fast"], 2, "20k"), ([url, "--rate", "-1"], 2, "20k"), ([url, "--rate-sweep", "5..2"], 2, "1k..50k"),
            ([url, "--rate-sweep", "5,x"], 2, "1k,2k"), ([url, "--rate", "5", "--rate-sweep", "1..2"], 2, "one of them"),
            ([url, "--limit", "1"], 2, "--rate-sweep"), ([url, "--rounds", "3"], 2, "--compare"),
            ([url, "--connections", "0"], 2, "whole number"), ([url, "--duration", "0"], 2, "0.001"),
            ([url, "--header", "no colon"], 2, "NAME: VALUE"), ([url, "--header", "A: b\r\nC: d"], 2, "NAME: VALUE"),
            ([url, "--method", "GET /x"], 2, "no method"), ([url, "--body", "@/nowhere"], 2, "No such file"),
            ([url, "--size", "9"], 2, "--body"), ([url, "--svg", "--json"], 2, "an option"), (["tcp" + url[4:-1], "--method", "PUT"], 2, "http://"),
            (["ftp://x/"], 2, "http://"), (["https://x/"], 2, "TLS"), (["tcp://127.0.0.1"], 2, "no port"),
            (["http:///x"], 2, "no host"), (["http://127.0.0.1:99999/"], 2, "65535"), (["udp://127.0.0.1:9", "--size", "8"], 2, "16"),
            (["unix:" + "x" * 200], 2, "too long"), ([url[:-1] + "?a"], 2, "write /?"), ([url[7:]], 2, "kind of server"),
            (["http://::1:80/"], 2, "[::1]"), ([url + "a b"], 2, "%20"), ([url + "\xe9"], 2, "%C3"), (["tcp" + url[4:] + "path"], 2, "no path"),
            (["http://nowhere.invalid/"], 1, "spelled right"),
            (["HTTP" + url[4:], "--duration", "0.1", "--warmup", "0"], 0, "answers/s"),
        ]:
            out, errors = run(*given, code=code)
            check(text in (out if code == 0 else errors), given, out, errors)
