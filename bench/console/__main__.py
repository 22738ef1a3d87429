"""`python -m bench.console`: measure the first paint of the console's pages with many pending exits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from bench.conditions import load
from bench.console.paints import HEAD, paints
from bench.console.pending import pending_exits
from shared.errors import ExitflowError
from shared.runtime.stopping import exit_on_sigterm

progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Run the bench; the exit status is 2 if something could not be measured."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    progress.print(f"load {load()}")
    try:
        with pending_exits(options.exits, progress.print) as pending:
            rows = [one.row() for one in paints(pending, options.views)]
    except ExitflowError as error:
        progress.print(f"bench: {error}", style="red")
        return 2
    Console(soft_wrap=True, highlight=False).print("\n".join([HEAD, *rows]), markup=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.console",
        description="Measure the first paint of the console's pages in a headless Chromium, on a temporary local stack"
        " with many pending exits, and the CPU of one view. Progress goes to stderr.",
        epilog="example: python -m bench.console --exits 1000 --views 10",
    )
    parser.add_argument("--exits", type=int, default=10_000, help="pending exits (default: 10000)")
    parser.add_argument("--views", type=int, default=20, help="views of each page (default: 20)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
