"""The examples of the command line's help, carried out on a running stack with its ids and small files."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.support.documented_commands import ROOT
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result
from tests.unit.cli.test_command_matrix import COMMANDS
from tests.unit.cli.test_replay_page import FILES

Exitflow = Callable[..., Result]

SYMBOL = "NSE:INFY"
LAST_PRICES = {SYMBOL: "1004.00", "NSE:SBIN": "800.00", "NSE:TCS": "3500.00"}
ENTRY, EVENT = "019abc…", "019def…"
"""Ids in the examples: of the command's subject, and of an event."""
ABOUT_AN_EXIT: Final = ("exits show", "exits resolve", "exits withdraw")
REFUSALS: Final = {
    "trades plan": "(409 ",
    "corporate-actions reverse": "404 not_found",
    "exits force": "(409 ",
    "exits resolve": "(409 ",
    "exits withdraw": "(409 ",
    "accounts connect": "",
    "accounts release": "409 account_not_held",
    "ticks replay": "no tick on line 1201",
    "status": "",
    "doctor": "",
    "check": "",
    "outbox replay": "404 not_parked",
    "outbox discard": "parked",
    "faults remove": "404",
}
"""Commands with a possible refusal, and its words: the stack is well, and lacks their subject."""
SAMPLES: Final = {
    **FILES,
    "book.csv": "symbol,direction,quantity,entry_price,target,stop_loss\nNSE:INFY,LONG,100,1000,1010,990\n",
    "plan.json": '{"target": "1010.00", "stop_loss": "995.00"}',
    "day.jsonl": '{"symbol": "NSE:INFY", "ltp": "1001", "ts": "2026-01-13T03:46:00Z", "seq": 1}\n',
    "freeze.csv": "exchange,tradingsymbol,freeze_quantity\nNSE,PAGE,1800\n",
    "note.csv": "trade_id,leg,charge,amount\n{trade},ENTRY,BROKERAGE,20.00\n{trade},EXIT,BROKERAGE,20.00\n",
    "actions.csv": "kind,symbol,ratio,new_symbol,effective_at\nBONUS,NSE:NONE,1:2,,2026-11-27T00:00:00+05:30\n",
}
DUMP: Final = "symbol,last_price,exchange_timestamp\nNSE:INFY,1001,2026-01-13 09:16:00\n"


class ReferenceExamples:
    """A running stack for examples, with an open trade that has an exit."""

    def __init__(self, exitflow: Exitflow, data_dir: str) -> None:
        self._exitflow = exitflow
        self._at = ("--data-dir", data_dir)
        self._trade_id = self._opened()
        forced = self._exitflow("exits", "force", self._opened(), "--note", "a test", *self._at, "--json")
        self._intent_id = str(json.loads(forced.out)["intent_id"])
        wait_until(
            lambda: self._exitflow("trades", "reconcile", "--dry-run", *self._at).status == 0, "its fill is known"
        )

    def write_files(self) -> None:
        """Write the files of the examples into the working directory."""
        closed = self._closed_trade_id()
        for name, text in SAMPLES.items():
            Path(name).write_text(text.replace("{trade}", closed))
        Path("day.csv.gz").write_bytes(gzip.compress(SAMPLES["day.csv"].encode()))
        Path("dump.csv.gz").write_bytes(gzip.compress(DUMP.encode()))
        shutil.copy(ROOT / "docs/examples/calendars-2026.toml", ".")

    def run(self, text: str) -> tuple[str, Result]:
        """Carry out an example; return its command's name and its end."""
        words = shlex.split(text.partition(" | ")[0].partition(" > ")[0])[1:]
        name = next(found for length in (3, 2, 1) if (found := " ".join(words[:length])) in COMMANDS)
        at = self._at if any("--data-dir" in each.opts for each in COMMANDS[name].params) else ()
        return name, self._exitflow(*(self._known(name, word) for word in words), *at)

    def _known(self, name: str, word: str) -> str:
        if word == ENTRY:
            return self._intent_id if name in ABOUT_AN_EXIT else self._trade_id
        return word.replace(EVENT, self._trade_id)

    def _opened(self) -> str:
        for symbol, price in LAST_PRICES.items():
            self._exitflow("ticks", "send", symbol, price, *self._at)
            wait_until(partial(self._is_last, symbol, price), "the price is known")
        plan = ("--target", "1010.00", "--stop-loss", "990.00", "--break-even-arm", "20")
        opened = self._exitflow(
            "trades", "open", SYMBOL, "LONG", "100", "--entry", "1000.00", *plan, *self._at, "--json"
        )
        assert opened.status == 0, opened.err
        trade_id = str(json.loads(opened.out)["trade_id"])
        wait_until(lambda: self._exitflow("exits", "why", trade_id, *self._at).status == 0, "the exit side knows it")
        return trade_id

    def _closed_trade_id(self) -> str:
        closed = json.loads(self._exitflow("trades", "list", "--status", "CLOSED", *self._at, "--json").out)
        return str(closed[-1]["trade_id"])

    def _is_last(self, symbol: str, price: str) -> bool:
        return price in self._exitflow("ticks", "last", symbol, *self._at).out
