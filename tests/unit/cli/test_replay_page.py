"""The commands of the page on replays, with the books of the page and small files of ticks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

PAGE = (Path(__file__).resolve().parents[3] / "docs/how-to/replay-a-market.md").read_text()
LINES = re.findall(r"^exitflow (.+)$", PAGE, re.MULTILINE)
ON_FILES = [line for line in LINES if "--topic" not in line and "--verify" not in line]
"""The others need Kafka, a database or stored exits: `test_replay_topic.py`, `test_replay_verify.py`."""
FILES = {
    "book.json": re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0],
    "book.csv": re.findall(r"^```\n(symbol,.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0],
    "day.csv": "symbol,ltp,ts\nNSE:INFY,1001,2026-01-13T03:46:00Z\nNSE:INFY,1011,2026-01-13T03:47:00Z\n",
    "candles.csv": "date,open,high,low,close,volume\n2026-01-13T09:15:00+0530,1000,1011,999,1010,100\n",
    "wider.json": '{"target": "1020.00", "stop_loss": "980.00"}',
    "tight.json": '{"target": "1005.00", "stop_loss": "995.00"}',
}


def test_most_commands_need_files_alone() -> None:
    assert len(ON_FILES) == 4


@pytest.mark.parametrize("line", ON_FILES)
def test_a_documented_replay_succeeds(
    line: str, exitflow: Exitflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    ended = exitflow(*shlex.split(line.partition(" > ")[0]))
    assert ended.status == 0, ended.err
    assert "TARGET" in ended.out
