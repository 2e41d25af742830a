#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`noria serve` and `noria echo` as their clients see them, over loopback: serve_e2e.py PATH/TO/noria [TEST...]

The tests stand in e2e/, a subject a file; e2e/kit.py has what they share. The standard library is all they need.
"""

import os
import sys
import time
import traceback

sys.dont_write_bytecode = True  # the source tree stays as it is
from e2e import around, content, ending, kit, limits, protocol  # noqa: E402,F401 (the tests register themselves)


def run(test):
    start = time.monotonic()
    failed = False
    try:
        with kit.site() as root:
            test(root)
    except Exception:  # one test's failure says nothing of the others
        failed = True
        traceback.print_exc()
    print(f"{'FAIL' if failed else 'ok  '} {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    return failed


def main():
    kit.NORIA[:] = [os.path.abspath(sys.argv[1])]
    chosen = [each for each in kit.TESTS if not sys.argv[2:] or each.__name__ in sys.argv[2:]]
    failed = sum(run(each) for each in chosen)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
