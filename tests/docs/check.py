#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Holds the documents to the truth: `check.py --programs DIR DOCUMENT...` (DIR: where docs/snippets was built).
#
#   code      Each block of C, Python or Go stands below a mark, <!-- docs/snippets/time.c: retry -->, and is equal to that
#             region of that file: what stands between the comments [retry] and [end], or without a name the whole
#             file. So the compiler sees it, and so do the formatter and whoever changes the API.
#   sessions  Each ```console block is run, its lines that begin with `$ ` in one shell, with DIR and docs/snippets in PATH;
#             what follows a command is what it prints, on standard output and standard error.
#   links     Each link to a file of the project leads to one.
#
# --update writes regions and outputs into the documents instead. --all runs the programs of docs/snippets too that no
# session runs: an exit status other than 0 is an error.

import argparse
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>[a-z]*)\n(?P<body>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
COMMENT = r"[ \t]*(?:/\*|//|#) \[{}\](?: \*/)?\n"
ANY_COMMENT = re.compile(r"^" + COMMENT.format(r"[\w -]+"), re.M)
CODE = ("c", "python", "go")


class Wrong(Exception):
    """What is wrong, and how to mend it."""


def dedent(text):
    """Without the indentation, of tabs or of spaces, that all lines have; blank lines have none."""
    lines = text.strip("\n").split("\n")
    indents = [re.match(r"[ \t]*", line).group() for line in lines if line.strip()]
    common = os.path.commonprefix(indents)
    return "".join(line[len(common):] + "\n" if line.strip() else "\n" for line in lines)


def region(mark):
    """The code that a mark names."""
    m = re.fullmatch(r"([\w./-]+\.(?:c|h|py|go))(?:: ([\w -]+))?", mark or "")
    if not m:
        raise Wrong("code without a mark `<!-- docs/snippets/FILE: REGION -->` above it")
    path = ROOT / m.group(1)
    if not path.is_file():
        raise Wrong(f"there is no {m.group(1)}")
    text = path.read_text(encoding="utf-8")
    if not m.group(2):
        return dedent(ANY_COMMENT.sub("", text.replace("/* SPDX-License-Identifier: MIT */\n", "", 1)))
    found = re.findall("^" + COMMENT.format(re.escape(m.group(2))) + "(.*?)^" + COMMENT.format("end"), text, re.M | re.S)
    if len(found) != 1:
        raise Wrong(f"{m.group(1)} has {len(found)} regions [{m.group(2)}]")
    return dedent(ANY_COMMENT.sub("", found[0]))


def plain(output):
    """Paths as somebody who compiles in docs/snippets would see them."""
    return re.sub(r"(?:[\w.-]*/)+(\w+\.[ch]:\d+)", r"\1", output)


def session(body, programs, ran):
    """The same session as it goes now."""
    path = os.pathsep.join([str(programs), str(ROOT / "docs/snippets"), os.environ.get("PATH", "")])
    result = ""
    for line in body.split("\n"):
        if not line.startswith("$ "):
            continue
        ran.update(re.findall(r"[\w.-]+", line))
        done = subprocess.run(["bash", "-c", line[2:]], env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        result += line + "\n" + plain(done.stdout)
    return result


def wanted(match, programs, ran):
    language = match["language"]
    if language in CODE:
        return region(match["mark"])
    return session(match["body"], programs, ran) if language == "console" else match["body"]


def check_links(document, text):
    for m in LINK.finditer(text):
        if not (document.parent / m.group(1)).exists():
            yield text.count("\n", 0, m.start()) + 1, f"there is no {m.group(1)}"


def check_document(document, arguments, ran):
    """(line, what is wrong) of each block; writes them anew when asked to."""
    text = document.read_text(encoding="utf-8")
    result, at = "", 0
    for match in BLOCK.finditer(text):
        start, end = match.span("body")
        line = text.count("\n", 0, start)
        try:
            now = wanted(match, arguments.programs, ran)
        except Wrong as wrong:
            yield line, str(wrong)
            continue
        except subprocess.TimeoutExpired as late:
            yield line, f"does not end: {late.cmd[-1]}"
            continue
        if now != match["body"] and not arguments.update:
            lines = difflib.unified_diff(match["body"].split("\n"), now.split("\n"), "the document", "the truth", "", "", 1, "")
            yield line, "\n    " + "\n    ".join(lines)
        result += text[at:start] + now
        at = end
    if arguments.update:
        document.write_text(result + text[at:], encoding="utf-8")
    yield from check_links(document, text)


def run_rest(programs, ran):
    """(file, what is wrong) of the programs that no session has run."""
    commands = {source: [programs / source.stem] for source in (ROOT / "docs/snippets").glob("*.c")}
    if sys.version_info >= (3, 11):
        commands |= {source: [sys.executable, source] for source in (ROOT / "docs/snippets").glob("from_*.py")}
    for source, command in sorted(commands.items()):
        if source.stem in ran or source.name in ran:
            continue
        if not command[-1].exists():
            yield source, "is not built: name it in docs/snippets/meson.build"
            continue
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            yield source, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"


def main():
    parser = argparse.ArgumentParser(description="Check what the documents show.")
    parser.add_argument("--programs", type=Path, required=True, help="where the programs of docs/snippets are")
    parser.add_argument("--update", action="store_true", help="write what is true into the documents")
    parser.add_argument("--all", action="store_true", help="run what no session runs, too")
    parser.add_argument("documents", nargs="+", type=Path)
    arguments = parser.parse_args()
    arguments.programs = arguments.programs.resolve()
    ran, wrong = set(), 0
    for document in arguments.documents:
        for line, text in check_document(document.resolve(), arguments, ran):
            print(f"{document}:{line}: {text}")
            wrong += 1
    if arguments.all:
        for source, text in run_rest(arguments.programs, ran):
            print(f"{source}: {text}")
            wrong += 1
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
