#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`noria bench` against servers that behave, stall and misbehave: bench_e2e.py PATH/TO/noria [TEST...]

As serve_e2e.py. The servers are threads of this program (e2e/peer.py), so a test knows what they were asked, and what
the figures ought to be.
"""

import sys

sys.dont_write_bytecode = True  # the source tree stays as it is
from e2e import bench_files, bench_hostile, bench_load, bench_report, kit  # noqa: E402,F401 (the tests register themselves)

if __name__ == "__main__":
    sys.exit(kit.main())
