#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`noria serve` and `noria echo` as their clients see them, over loopback: serve_e2e.py PATH/TO/noria [TEST...]

The tests stand in e2e/, a subject a file; e2e/kit.py has what they share. The standard library is all they need.
"""

import sys

sys.dont_write_bytecode = True  # the source tree stays as it is
from e2e import around, content, ending, kit, limits, protocol  # noqa: E402,F401 (the tests register themselves)

if __name__ == "__main__":
    sys.exit(kit.main())
