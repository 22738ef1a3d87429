"""A page of the documentation carried out on a running stack: its files are written, its commands run in order."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

DOCS = Path(__file__).resolve().parents[3] / "docs"
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CSV = re.compile(r"^```csv\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAMPLE_TRADE = "019abc00-0000-7000-8000-000000000001"
SYMBOL = "NSE:INFY"
READS_THE_EXIT_SIDE = ("exits", "why")
"""A command that may come before the event of its trade."""


class DocumentedPage:
    """The commands of one page, on trades of a separate symbol.

    Parameters
    ----------
    symbol:
        Takes the place of the page's symbol: no other test has sent a price of it.
    closed_trade:
        Takes the place of the trade in a sample file.
    """

    def __init__(self, name: str, exitflow: Exitflow, data_dir: str, symbol: str, closed_trade: str) -> None:
        self._text = (DOCS / "how-to" / name).read_text().replace(SYMBOL, symbol).replace(SAMPLE_TRADE, closed_trade)
        self._exitflow = exitflow
        self._at = ("--data-dir", data_dir)
        self._symbol = symbol

    def commands(self) -> list[list[str]]:
        """Return the words of each command, without `exitflow`."""
        lines = [line.strip() for block in BLOCK.findall(self._text) for line in block.splitlines()]
        return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("exitflow ")]

    def write_files(self) -> None:
        """Write the files named by the commands into the working directory."""
        named = [word for words in self.commands() for word in words if re.fullmatch(r"[\w-]+\.(csv|toml)", word)]
        for name in dict.fromkeys(named):
            if (example := DOCS / "examples" / name).exists():
                shutil.copy(example, name)
            elif (found := CSV.search(self._text)) is not None:
                Path(name).write_text(found[1])

    def run(self) -> list[tuple[list[str], Result]]:
        """Run each command; return its words and its end. Output to a file is left out."""
        return [(words, self._run(words)) for words in self.commands()]

    def _run(self, words: list[str]) -> Result:
        given = [self._known(word) for word in words[: words.index(">") if ">" in words else None]]
        if tuple(given[:2]) == READS_THE_EXIT_SIDE:
            wait_until(lambda: self._exitflow(*given, *self._at).status == 0, "the exit side knows the trade")
        return self._exitflow(*given, *self._at)

    def _known(self, word: str) -> str:
        match word:
            case "TRADE_ID":
                return str(self._first("trades", "list", "--symbol", self._symbol)["trade_id"])
            case "ACTION_ID":
                return str(self._first("corporate-actions", "list")["action_id"])
            case _:
                return word

    def _first(self, *words: str) -> dict[str, object]:
        listed: list[dict[str, object]] = json.loads(self._exitflow(*words, *self._at, "--json").out)
        return listed[-1]  # the oldest: the first of the page
