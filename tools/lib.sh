# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What tools/setup, tools/test, tools/run and tests/consumer/run have in common. Sourced, never run.
#
# Sourcing it sets `root`, the top of the project, and goes there, so that every path in the tools is
# relative to it. All that the tools make lies in two ignored folders: `.deps` (libraries the system lacks)
# and `build` (one Meson build directory a configuration).

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit

native_file=.deps/meson.ini     # written by tools/setup: where Meson finds the libraries of .deps

# One line of progress, named after the tool that says it.
say() { printf '%s: %s\n' "${0##*/}" "$*"; }

# Ends the tool with a reason.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# show_tail FILE [LINES]: the end of a log, set off from the tool's own lines.
show_tail() {
    printf '    ---- end of %s\n' "$1"
    tail -n "${2:-40}" "$1" 2>/dev/null | sed 's/^/    /'
    printf '    ----\n'
}

# quietly LOG COMMAND...: output to LOG; a failure shows the log's end. File descriptor 9 is the lock of the
# build directory (below); a child must not inherit it, else a process that outlives its test keeps the lock.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null 9>&- || {
        local status=$?
        show_tail "$log"
        return "$status"
    }
}

# lock NAME: only one tool at a time works in build/NAME. Held until `unlock`, or until the tool ends.
lock() {
    mkdir -p build
    exec 9>"build/.$1.lock"
    flock -n 9 && return
    say "another run is working in build/$1; waiting for it"
    flock -w 1800 9 || die "build/$1 is still locked after 30 minutes"
}
unlock() { exec 9>&-; }

# configure NAME [meson argument...]: build/NAME exists and is configured like this. A directory that was
# configured otherwise (other arguments, compiler, libraries, or the project has moved) is made anew.
configure() {
    local dir=build/$1 want
    shift
    want=$(printf '%s\n' "$root" "CC=${CC-}" "CXX=${CXX-}" "CFLAGS=${CFLAGS-}" "LDFLAGS=${LDFLAGS-}" "$@"
           cat "$native_file")
    if [[ -f $dir/build.ninja && -f $dir/.configured && $(<"$dir/.configured") == "$want" ]]; then
        return 0
    fi
    rm -rf "$dir"
    quietly "$dir.setup.log" meson setup "$dir" --native-file "$native_file" "$@" || return
    printf '%s\n' "$want" >"$dir/.configured"
}

# compile NAME: builds it; a failure shows the end of the compiler's output.
compile() { quietly "build/$1.compile.log" meson compile -C "build/$1"; }

# tally NAME: counts what `meson test` left in build/NAME/meson-logs. Prints the failures' output, then as
# the last line `PASSED FAILED SKIPPED`. A Criterion program counts as the tests that its synthesis line tells;
# any other program as one. A skip is a failure under CI unless it names what the kernel lacks.
tally() {
    python3 - "build/$1/meson-logs" <<'PYTHON'
import glob, json, os, re, sys

ci = os.environ.get("CI", "") not in ("", "0", "false")
colour = re.compile(r"\x1b\[[0-9;]*m")
synthesis = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
skipped_case = re.compile(r"^\[SKIP\] (?!.*: Test is disabled$)", re.M)    # a filter's choice is no skip
lacks = re.compile(r"^(?:\[SKIP\] \S+: )?(skip: kernel lacks \S.*)$", re.M)
dull = re.compile(r"^\[(?:RUN |PASS|SKIP)\]|^\s*$")
passed = failed = skipped = 0

logs = glob.glob(os.path.join(sys.argv[1], "testlog*.json"))
tests = [json.loads(line) for log in logs for line in open(log, encoding="utf-8", errors="replace") if line.strip()]
for test in tests:
    name, result = test["name"], test["result"]
    text = colour.sub("", (test.get("stdout") or "") + "\n" + (test.get("stderr") or ""))
    cases = [tuple(map(int, m)) for m in synthesis.findall(text)]
    good = sum(c[1] for c in cases)
    bad = sum(c[2] for c in cases)
    skips = len(skipped_case.findall(text)) if cases else int(result == "SKIP")
    if result in ("OK", "EXPECTEDFAIL", "SKIP"):
        if not cases and result != "SKIP":
            good = 1
    else:                       # FAIL, TIMEOUT, ERROR, INTERRUPT, UNEXPECTEDPASS
        bad = max(bad, 1)
    if bad:
        print(f"    ---- {name}: {result}")
        for line in [line for line in text.splitlines() if not dull.match(line)][-40:]:
            print("    " + line)
        print("    ----")
    excused = lacks.findall(text)[:skips]
    for line in excused:
        print(f"    {name}: {line}")
    if skips > len(excused):
        print(f"    {name}: {skips - len(excused)} skipped without a line `skip: kernel lacks ...`:")
        for line in [line for line in text.splitlines()
                     if "skip" in line.lower() and not lacks.match(line) and "Test is disabled" not in line][-10:]:
            print("        " + line)
        if ci:
            bad += skips - len(excused)
            skips = len(excused)
    passed, failed, skipped = passed + good, failed + bad, skipped + skips
if not tests:
    print("    no test was run")
    failed += 1
print(passed, failed, skipped)
PYTHON
}
