# SPDX-License-Identifier: MIT
"""What is saved is drawn again, what is hostile is refused, and the figures of one run agree wherever they are told."""

import csv
import io
import json
import os
import random
import re
import subprocess
import time
from xml.etree import ElementTree

from e2e.kit import NORIA, PATIENCE, check, equal, test
from e2e.peer import Peer, answering, bench, echoing, measure, ok, run
from e2e.bench_report import elements


def save(path, document):
    with open(path, "w", encoding="utf-8") as out:
        out.write(document if isinstance(document, str) else json.dumps(document))
    return path


def lines(path):
    """What is drawn: colour and points of each line."""
    return [(each.get("stroke"), each.get("d")) for each in elements(path, "path") if each.get("class") == "line"]


def texts(path):
    return ["".join(each.itertext()) for each in elements(path, "text")]


@test
def what_was_saved_is_drawn_again(root):
    def path(name):
        return os.path.join(root, name)
    with Peer(echoing) as peer:
        url = peer.url("tcp")
        now = bench(url, "--connections", 2, "--svg", path("now.svg"), duration=0.55)
        save(path("before.json"), now)
        equal(run("--overlay", path("before.json"), "--svg", path("again.svg")), ("", ""))
        equal(lines(path("again.svg")), lines(path("now.svg")), "the same run")
        check(f"before: {url}" in texts(path("again.svg")), texts(path("again.svg")))
        slices = now["runs"][0]["slices"]
        now["runs"][0]["label"] = "<&>\" \ufffe \u20ac"  # and a run that had nothing to tell for a while
        now["runs"][0]["slices"] = {**slices, **{name: [*slices[name][:2], None, *slices[name][3:]] for name in slices if "_ns" in name}}
        run("--overlay", save(path("odd.json"), now), "--svg", path("odd.svg"))
        check("odd: <&>\" ??? \u20ac" in texts(path("odd.svg")), texts(path("odd.svg")))
        equal([d.count("M") for _, d in lines(path("odd.svg"))], [1, 1, 2, 2, 2], "a gap in its latencies")
        sweep = bench(url, "--rate-sweep", "50,100,150", "--connections", 2, "--svg", path("sweep.svg"), duration=0.2)
        save(path("sweep.json"), sweep)
        run("--overlay", path("sweep.json"), "--svg", path("again.svg"))
        equal(lines(path("again.svg")), lines(path("sweep.svg")), "the same sweep")
        bench(url, "--connections", 1, "--overlay", path("before.json"), "--overlay", path("sweep.json"), "--svg",
              path("all.svg"))
    told = texts(path("all.svg"))
    check({url, f"before: {url}", "sweep: 50/s", "sweep: 150/s", "Latency by rate"} <= set(told), told)
    check("1 connection, 1 thread, 1 in flight, closed loop" in told, "runs that differ say how they were made", told)
    drawn = lines(path("all.svg"))
    equal(len({colour for colour, _ in drawn} - {"#444"}), 5, "a colour each", drawn)
    curves = [d for colour, d in drawn if d.count("L") >= 50]
    equal(len(curves), 5, "a curve of percentiles each")


@test
def a_long_label_has_room(root):
    """Its figures stand below it then; what not even a whole line holds is cut, and whole under the pointer."""
    def path(name):
        return os.path.join(root, name)

    def height(file):
        return float(ElementTree.parse(path(file)).getroot().get("height"))
    with Peer(echoing) as peer:
        short = bench(peer.url("tcp"), "--connections", 1, "--svg", path("short.svg"), duration=0.2)
    for label in "a" * 60, "W" * 60, "W" * 120, "\u20ac" * 52:
        drawn = {**short, "runs": [{**short["runs"][0], "label": label}]}
        run("--overlay", save(path("l.json"), drawn), "--svg", path("l.svg"))
        labels = [each for each in elements(path("l.svg"), "text") if each.get("x") == "66"]
        figures = [each for each in elements(path("l.svg"), "text") if each.get("x") == "450"][1]
        equal(len(labels), 1)
        check(float(figures.get("y")) > float(labels[0].get("y")) + 10, "the figures stand below")
        check(height("l.svg") > height("short.svg"), "what follows makes room")
        whole = labels[0].find("{http://www.w3.org/2000/svg}title")
        told = (labels[0].text if whole is None else whole.text)
        equal((told, whole is None), (f"l: {label}", len(label) <= 60), "cut only where it has to be")
        check(len(labels[0].text) * 13 * 0.64 <= 960 - 66, labels[0].text)
    equal([each.get("y") for each in elements(path("short.svg"), "text") if each.get("x") in ("66", "450")][1:],
          ["118.0", "118.0"], "a short one stands beside its figures")


def overlay(document, code=None):
    """Draw a report without a file: the picture, and what was said. It is drawn or refused, whatever it is."""
    document = document.encode() if isinstance(document, str) else document
    done = subprocess.run([*NORIA, "bench", "--overlay", "/dev/stdin", "--svg", "/dev/stdout"], input=document, capture_output=True,
                          check=False, timeout=PATIENCE * 3)
    equal((done.returncode == 0, done.returncode in (0, 1)), (done.stderr == b"", True), document[:100000], done)
    equal(done.returncode, done.returncode if code is None else code, document[:1000], done)
    return done.stdout, done.stderr.decode()


@test
def what_is_no_report_is_refused(root):
    def path(name):
        return os.path.join(root, name)
    with Peer(echoing) as peer:
        good = bench(peer.url("tcp"), "--connections", 1, duration=0.2)
    run0 = good["runs"][0]

    def edited(**changes):
        return {**good, "runs": [{**run0, **changes}]}
    latency = run0["latency"]
    for document, text in [
        ("", "no JSON"), ("hello", "no JSON"), ("{", "no JSON"), ("[" * 100000, "no JSON"), ("[]", "no report"), ("{}", "no report"),
        ({**good, "format": 2}, "format"), ({**good, "format": "1"}, "format"), ({**good, "runs": []}, "no runs"),
        ({**good, "runs": [run0] * 257}, "256"), ({**good, "runs": [1]}, '"latency"'), (edited(label=5), '"label"'),
        (edited(connections=-1), '"connections"'), (edited(connections=1e300), '"connections"'), (edited(seconds=0), '"seconds"'),
        (edited(rate=None), '"rate"'), (edited(rate=1e-320), '"rate"'), (edited(errors=[]), '"errors"'), (edited(latency={**latency, "curve_ns": []}), '"curve_ns"'),
        (edited(latency={**latency, "curve_ns": [1] * 252}), '"curve_ns"'), (edited(latency={**latency, "curve_ns": [5, 4]}), '"curve_ns"'),
        (edited(latency={**latency, "count": 0}), '"curve_ns"'), (edited(latency={**latency, "max_ns": 1e19}), '"max_ns"'),
        (edited(slices={**run0["slices"], "answers": [1] * 201}), '"slices"'), (edited(slices={**run0["slices"], "p50_ns": []}), '"p50_ns"'),
        (edited(slices={**run0["slices"], "seconds": 0}), '"seconds"'),
    ]:
        drawn, errors = overlay(document if isinstance(document, str) else json.dumps(document), code=1)
        check(drawn == b"" and "--overlay /dev/stdin" in errors and text in errors, document, errors)
    _, errors = overlay(b" " * (65 << 20), code=1)
    check("64 MiB" in errors, errors)
    for number in 0, 1e-320, 0.5:  # odd, but no reason to refuse or to draw for ever
        odd = {**latency, "curve_ns": [number] * 9}, {**run0["slices"], "answers": [number] * 2}
        drawn, _ = overlay(json.dumps(edited(latency=odd[0], slices=odd[1])), code=0)
        check("nan" not in str(lines(io.BytesIO(drawn))), number, drawn)
    for name in "nowhere.json", "", "fifo/x":
        run("--overlay", path(name), "--svg", path("bad.svg"), code=1)
        check(not os.path.exists(path("bad.svg")), "nothing is drawn")
    _, errors = run("--overlay", path("good.json"), code=2)
    check("--svg" in errors, errors)


@test
def mutated_reports_do_no_harm(_):
    """Each is drawn or refused, and what is drawn is XML."""
    with Peer(answering(ok())) as peer:
        text = json.dumps(bench(peer.url(path="/" + "x" * 200), "--rate-sweep", "50,100", "--connections", 1, duration=0.2))
    chance = random.Random(1)
    drawn = 0
    for number in range(100):
        mutant = bytearray(text.encode())
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(mutant))
            mutant[at:at + chance.randrange(0, 3)] = chance.choice(
                [b"", b"9", b"0", b"-", b"1e308", b"null", b"[", b"\\u0001", b"\\uffff", b"\xff", b"<&>", b"\"", b",", b"e99"])
        picture, errors = overlay(bytes(mutant))
        if not errors:
            drawn += 1
            points = "".join(d or "" for _, d in lines(io.BytesIO(picture)))
            check("nan" not in points and "inf" not in points, bytes(mutant), points)
    check(5 < drawn < 95, "both happen", drawn)


def rows_of(path):
    with open(path, encoding="utf-8") as text:
        found = re.findall(r"^ +([\d.]+) +([\d.]+) +(\d+)", text.read(), re.M)
    return [(float(value) * 1e6, float(part), int(count)) for value, part, count in found]


@test
def the_figures_agree(root):
    def path(name):
        return os.path.join(root, name)
    delays = random.Random(2)
    taken = []

    def slow(connection, _):
        while data := connection.recv(65536):
            begin = time.monotonic()
            time.sleep(delays.uniform(0.001, 0.02))
            taken.append(time.monotonic() - begin)
            connection.sendall(data)
    with Peer(slow) as peer:
        measured, errors = measure(peer.url("tcp"), "--connections", 1, "--hgrm", path("a.hgrm"), "--csv", path("a.csv"),
                                   duration=1.5)
    latency, slices = measured["latency"], measured["slices"]
    check(not errors and latency["count"] == measured["answers"], measured)
    taken = sorted(taken[:latency["count"]])
    for name, value in latency["percentiles_ns"].items():  # the server took so long, and then there was the way
        own = taken[int(float(name) / 100 * len(taken) + 0.5) - 1] * 1e9
        check(value * 1.001 >= own, name, "% is", value, "the server took", own)
    check(sum(taken) * 1e9 <= latency["mean_ns"] * latency["count"] * 1.001 <= 1.5e9 * 1.002, "one after another", latency)
    rows = rows_of(path("a.hgrm"))
    equal(rows[-1][2], latency["count"])
    curve = latency["curve_ns"]
    equal((curve[0], curve[-1]), (latency["min_ns"], latency["max_ns"]))
    equal(rows[-1][0], latency["max_ns"])
    for i, value in enumerate(curve[1:], 1):  # between the values that fewer and that more are not above
        rank = round((1 - 10 ** (-i / latency["points_of_a_nine"])) * latency["count"])
        low = max([row[0] for row in rows if row[2] < rank - 1], default=0)
        high = min([row[0] for row in rows if row[2] > rank], default=latency["max_ns"])
        check(low * 0.999 <= value <= high * 1.001, "point", i, low, value, high)
    equal(sum(slices["answers"]), measured["answers"])
    check(abs(measured["answers_per_second"] - measured["answers"] / measured["seconds"]) < 1e-3, measured)
    with open(path("a.csv"), encoding="utf-8", newline="") as text:
        table = list(csv.DictReader(text))
    equal([int(row["answers"]) for row in table], slices["answers"])
    equal([row["p99_ms"] for row in table], ["" if each is None else f"{each / 1e6:.6f}" for each in slices["p99_ns"]])


def hgrm_total(path):
    with open(path, encoding="utf-8") as text:
        return int(re.search(r"Total count += +(\d+)\]", text.read()).group(1))


@test
def each_run_has_a_file_of_its_own(root):
    def path(name):
        return os.path.join(root, name)

    def made(*arguments, **options):
        """The report, and the files of it."""
        before = set(os.listdir(root))
        out, errors = run("--json", "--duration", 0.2, "--warmup", 0, "--connections", 2, *arguments, **options)
        return json.loads(out)["runs"], sorted(set(os.listdir(root)) - before), errors
    os.mkdir(path("d.d"))
    with Peer(echoing) as a, Peer(echoing) as b:
        url = a.url("tcp")
        runs, files, errors = made(url, "--rate-sweep", "0.5k,99.5,500", "--hgrm", path("s.x.hgrm"), "--csv", path("s.csv"))
        equal((files, errors), (["s.csv", "s.x-500-2.hgrm", "s.x-500.hgrm", "s.x-99.5.hgrm"], ""), "a rate that comes again, too")
        equal([hgrm_total(path("s.x-99.5.hgrm"))], [each["latency"]["count"] for each in runs if each["rate"] == 99.5])
        with open(path("s.csv"), encoding="utf-8", newline="") as text:
            equal({row["run"] for row in csv.DictReader(text)}, {"99.5/s", "500/s"}, "one table, whose first column says it")
        _, files, _ = made(url, "--rate-sweep", "70", "--hgrm", path("one"))
        equal(files, ["one-70"], "a sweep of one rate, and no suffix")
        runs, files, _ = made("--compare", url, b.url("tcp"), "--rounds", 2, "--hgrm", path("d.d/.c"), "--csv", path("c.csv"))
        equal((files, sorted(os.listdir(path("d.d")))), (["c.csv"], [".c-A", ".c-B"]), "a dot in front begins no suffix")
        equal([hgrm_total(path(f"d.d/.c-{each}")) for each in "AB"], [each["latency"]["count"] for each in runs])
        with open(path("c.csv"), encoding="utf-8", newline="") as text:
            equal({row["run"] for row in csv.DictReader(text)}, {f"A {url}", f"B {b.url('tcp')}"})
        _, files, errors = made("--compare", url, url, "--rounds", 1, "--hgrm", path("d.d/.c"))
        check(not files and "2 of the files were there before" in errors, errors)
        os.symlink("s.csv", path("link"))
        os.symlink("nowhere/a", path("astray"))
        save(path("old.json"), bench(url, "--connections", 1, duration=0.2))
        before = {name: os.stat(path(name)).st_mtime_ns for name in os.listdir(root) if name != "astray"}
        for options, text in [
            (["--csv", path("s.csv"), "--svg", path("./s.csv")], "--csv and --svg both mean"),
            (["--csv", path("link"), "--svg", path("s.csv")], "--csv and --svg both mean"),
            (["--csv", path("new"), "--svg", path("new")], "--csv and --svg both mean"),
            (["--hgrm", path("n.csv"), "--csv", path("n-B.csv"), "--compare", url], "--hgrm and --csv both mean"),
            (["--hgrm", path("n"), "--svg", path("n-70"), "--rate-sweep", "60,70"], "--hgrm and --svg both mean"),
            (["--overlay", path("old.json"), "--svg", path("old.json")], "--overlay and --svg both mean"),
            (["--hgrm", "/dev/null", "--compare", url], "a file of its own"), (["--hgrm", path("astray")], "cannot write"),
            (["--hgrm", root + "/" * (4093 - len(root)) + "n", "--rate-sweep", "60,70"], "too long"),
        ]:
            _, errors = run(url, *options, "--duration", PATIENCE * 10, code=1)
            check(text in errors, options, errors)
        equal({name: os.stat(path(name)).st_mtime_ns for name in os.listdir(root) if name != "astray"}, before, "nothing has changed")
        check(os.path.islink(path("astray")))
        run(url, "--csv", "/dev/null", "--svg", "/dev/null", "--duration", 0.1, "--warmup", 0)


@test
def what_cannot_be_written_is_told_at_once(root):
    def path(name):
        return os.path.join(root, name)
    with Peer(answering(ok())) as peer:
        for option in "--svg", "--csv", "--hgrm":
            start = time.monotonic()
            _, errors = run(peer.url(), option, path("nowhere/a"), "--duration", PATIENCE * 10, code=1)
            check("cannot write" in errors and time.monotonic() - start < PATIENCE, errors)
        _, errors = run(peer.url(), "--duration", 0.1, "--warmup", 0, "--svg", "/dev/full", code=1)
        check("No space left" in errors, errors)
        save(path("old.csv"), "what was there")
        run(peer.url(), "--csv", path("old.csv"), "--svg", path("nowhere/a"), code=1)
        with open(path("old.csv"), encoding="utf-8") as text:
            equal(text.read(), "what was there", "a command that fails leaves it")
        run(peer.url(), "--csv", path("new.csv"), "--svg", path("nowhere/a"), code=1)
        check(not os.path.exists(path("new.csv")), "nothing new is left")
        with open("/dev/full", "wb") as full:
            for options in [], ["--json"], ["--rate-sweep", "50,60"], ["--compare", peer.url(), "--rounds", "1"], ["--help"]:
                done = subprocess.run([*NORIA, "bench", peer.url(), "--duration", "0.1", "--warmup", "0", *options],
                                      stdout=full, stderr=subprocess.PIPE, check=False, timeout=PATIENCE)
                check(done.returncode == 1 and b"No space left" in done.stderr, options, done)
