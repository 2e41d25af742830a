#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`noria sim` as a whole: how programs end in its runs, and what it says of that. sim_e2e.py NORIA PROGRAM"""
import os
import subprocess
import sys

NORIA, PROGRAM = sys.argv[1:]


def sim(*arguments):
    result = subprocess.run([NORIA, "sim", *arguments], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


def check(name, seen, *wanted, without=()):
    status, output = seen
    fine = status == wanted[0] and all(text in output for text in wanted[1:]) and not any(text in output for text in without)
    print("ok" if fine else "NOT OK", name)
    if not fine:
        print(status, output)
        sys.exit(1)


def children_of(pattern):
    return subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout.split()


check("what ends well", sim("--seeds", "5", PROGRAM), 0, "5 runs of", "nothing was found")
check("a failure, with the command of noria sim alone", sim("--seeds", "1", PROGRAM, "fail"), 1, "1 run of", "exit 1",
      "as it was asked to", "again with: noria sim --replay seed=1", without=["NORIA_SIM="])
check("a program that is not there", sim(PROGRAM + "-not"), 2, "No such file or directory", without=["Remedy"])
check("a program that cannot be run", sim(__file__ + "/.."), 2, without=["Remedy"])
check("a program that makes no world", sim("/bin/true"), 2, "made no simulated world", "Remedy")
check("exit() in a task", sim("--seeds", "5", PROGRAM, "exit"), 1, "exit 0 in the middle of the run",
      without=["made no simulated world"])
check("a kill", sim("--seeds", "5", PROGRAM, "killed"), 1, "Killed, in")
check("a hang, with its whole plan", sim("--seeds", "1", "--timeout", "1", "--limit", "9s", "--faults", "eintr%1", PROGRAM, "hang"),
      1, "timeout, in 1 run", "seed=1", "limit=9000ms")
check("the limit of time is replayed", sim("--seeds", "1", "--limit", "5s", PROGRAM), 1, "late", "seed=1,limit=5000ms")
check("it is had again", sim("--replay", "seed=1,limit=5000ms", PROGRAM), 0, "more than its limit of 5000 ms",
      without=["NORIA_SIM="])
check("a replay of what is none", sim("--replay", "seed=x", PROGRAM), 1, "'seed=x': is not a number")
check("processes that a run leaves", sim("--seeds", "5", PROGRAM, "leave"), 0, "nothing was found")
check("... are gone with it", (len(children_of(os.path.basename(PROGRAM) + " leave")), ""), 0)
check("a plan that is none", sim("--faults", "bananas", PROGRAM), 2, "bananas")
check("a seed that is none", sim("--seeds", "x", PROGRAM), 2)
check("a schedule that is none", sim("--schedule", "lifo", PROGRAM), 2)
