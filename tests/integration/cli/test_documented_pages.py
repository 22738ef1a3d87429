"""The commands of README and documentation on a running stack, page by page, in the order of a reader."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from tests.integration.cli.documented_page import DocumentedPage
from tests.integration.cli.local_stack import LIMIT_S, data_dir
from tests.integration.cli.reference_examples import REFUSALS, ReferenceExamples
from tests.support.documented_commands import claimed_by, commands_in
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

__all__ = ["data_dir"]

HERE = "tests/integration/cli/test_documented_pages.py"
ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
TUTORIAL = DOCS / "tutorial" / "first-exit.md"
OPERATIONS = DOCS / "runbooks" / "operations.md"
FIXTURE_PAGE = DOCS / "how-to" / "test-against-a-stack.md"
TRADED_BY_README, TRADED_BY_TUTORIAL, PARKED = "NSE:INFY", "NSE:ITC", "NSE:HDFC"
MANAGES_A_STACK = ("up", "down")
TOO_SMALL_BYTES, LARGE_BYTES = 200, 1_048_588


def commands_of(page: Path, symbol: str) -> list[list[str]]:
    """Return the words of a page's commands on a running stack, with another symbol."""
    shown = commands_in(page.read_text().replace("NSE:INFY", symbol))
    lines = [shlex.split(line)[1:] for line in shown if line.startswith("exitflow ")]
    return [words for words in lines if words[0] not in MANAGES_A_STACK]


def is_closed(exitflow: Exitflow, symbol: str, data_dir: str) -> Callable[[], bool]:
    """Return a question: is the symbol's trade closed?"""
    return lambda: "CLOSED" in exitflow("trades", "list", "--symbol", symbol, "--data-dir", data_dir).out


def test_the_exit_of_the_readme_happens_as_shown(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir)
    for words in commands_of(README, TRADED_BY_README):
        assert exitflow(*words, *at).status == 0
    wait_until(is_closed(exitflow, TRADED_BY_README, data_dir), "the trade closes")
    closed = json.loads(exitflow("trades", "list", "--symbol", TRADED_BY_README, *at, "--json").out)[0]
    (shown,) = re.findall(r"^status CLOSED .*$", README.read_text(), re.MULTILINE)
    figures = re.findall(r"(\w+) +(\S+)", shown)
    assert [(name, closed[name]) for name, _ in figures] == figures


def test_tutorial_ends_with_closed_trade_and_consistent_books(data_dir: str, exitflow: Exitflow) -> None:
    at = ("--data-dir", data_dir)
    commands = commands_of(TUTORIAL, TRADED_BY_TUTORIAL)
    assert [words[0] for words in commands] == [
        *("status", "trades", "ticks", "trades"),
        *("ticks", "exits", "trades", "check"),
    ]
    for words in commands:
        if words[0] == "check":
            wait_until(is_closed(exitflow, TRADED_BY_TUTORIAL, data_dir), "the trade closes")
        done = exitflow(*words, *at)
        assert done.status == 0, (words, done.err)
    closed = json.loads(exitflow("trades", "list", "--symbol", TRADED_BY_TUTORIAL, *at, "--json").out)[0]
    assert (closed["exit_price"], closed["gross_pnl"]) == ("1012.00", "1200.00")


def test_other_teams_test_against_the_stack_as_documented(data_dir: str, tmp_path: Path) -> None:
    (sample,) = re.findall(r"```python\n(.*?)```", FIXTURE_PAGE.read_text(), re.DOTALL)
    (tmp_path / "test_sample.py").write_text(sample)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--exitflow-data-dir", data_dir]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (ended.returncode, "1 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr


def limit_records(data_dir: str, topic: str, limit_bytes: int) -> None:
    """Let Kafka take records of the topic up to this size."""
    stack = json.loads((Path(data_dir) / "stack.json").read_text())
    entry = ConfigEntry("max.message.bytes", str(limit_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": stack["kafka_bootstrap_servers"]})
    for changed in admin.incremental_alter_configs([resource]).values():
        changed.result(LIMIT_S)


@pytest.mark.apache
def test_parked_events_are_replayed_and_discarded_as_documented(data_dir: str, exitflow: Exitflow) -> None:
    at, topic = ("--data-dir", data_dir), "exits.intents.v1"
    of_a_key, of_the_topic, discard = commands_of(OPERATIONS, PARKED)

    def parked() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(exitflow("outbox", "parked", *at, "--json").out)
        return found

    def exits(count: int) -> list[str]:
        """Force exits while Kafka refuses their events; return the parked keys."""
        limit_records(data_dir, topic, TOO_SMALL_BYTES)
        for n in range(count):
            assert exitflow("ticks", "send", f"{PARKED}{n}", "1000", *at).status == 0
            opened = exitflow(
                "trades", "open", f"{PARKED}{n}", "LONG", "1", "--entry", "1000", "--stop-loss", "900", *at, "--json"
            )
            trade_id = json.loads(opened.out)["trade_id"]
            wait_until(lambda of=trade_id: exitflow("exits", "force", of, "--note", "x", *at).status == 0, "forced")  # type: ignore[misc]
        wait_until(lambda: len({each["key"] for each in parked()}) >= count, "their events are parked")
        return sorted({each["key"] for each in parked()})

    def succeeds(words: list[str], placeholder: str, known: str) -> None:
        done = exitflow(*(word.replace(placeholder, known) for word in words), *at)
        assert done.status == 0, done.err

    first, *_ = exits(2)
    limit_records(data_dir, topic, LARGE_BYTES)
    succeeds(of_a_key, "019abc…", first)
    wait_until(lambda: first not in {each["key"] for each in parked()}, "the key is published")
    succeeds(of_the_topic, "", "")
    wait_until(lambda: parked() == [], "the topic is published")
    exits(1)
    succeeds(discard, "019def…", parked()[0]["event_id"])
    limit_records(data_dir, topic, LARGE_BYTES)
    succeeds(of_the_topic, "", "")
    wait_until(lambda: parked() == [], "nothing is parked")


def test_official_mcp_client_asks_the_running_stack(data_dir: str) -> None:
    listed, answered = asyncio.run(talk_to_server(data_dir))
    assert {"pending_exits", "why_exit", "profit_and_loss"} <= set(listed)
    assert "force_exit" not in listed
    assert any(trade["symbol"] == TRADED_BY_README for trade in answered)
    listed, _ = asyncio.run(talk_to_server(data_dir, "--allow-changes"))
    assert {"force_exit", "withdraw_exit", "set_kill_switch"} <= set(listed)


async def talk_to_server(data_dir: str, *options: str) -> tuple[list[str], list[dict[str, str]]]:
    """Return the tools of `exitflow run mcp` and its list of trades."""
    command = ["-m", "services.cli.main", "run", "mcp", "--data-dir", data_dir, *options]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        answer = await session.call_tool("list_trades", {})
    assert not answer.isError, answer
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return [tool.name for tool in tools], json.loads(content.text)["items"]


def test_each_example_of_the_reference_is_carried_out(
    data_dir: str, exitflow: Exitflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = ReferenceExamples(exitflow, data_dir)
    examples.write_files()
    shown = claimed_by(f"{HERE}::test_each_example_of_the_reference_is_carried_out")
    ended = [(text, *examples.run(text)) for text in shown]
    failed = [(text, end.err, REFUSALS.get(name)) for text, name, end in ended if end.status]
    assert [(text, error) for text, error, refusal in failed if refusal is None or refusal not in error] == []


PAGES = {
    "exit-in-legs.md": 3,
    "hold-stops-at-the-broker.md": 8,
    "limit-losses.md": 5,
    "make-charges-final.md": 4,
    "receive-postbacks.md": 3,
    "apply-corporate-actions.md": 4,
    "use-the-mcp-server.md": 1,
    "execute-under-trade-management.md": 1,
    "load-calendars.md": 3,  # last: exits wait outside its hours
}
"""The how-tos of commands, and how many each has."""
REFUSED = {("accounts", "release"): "409 account_not_held"}
"""Commands whose page begins with an event that may not have happened here."""


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_page_succeeds(
    page: str, data_dir: str, exitflow: Exitflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = exitflow("trades", "list", "--status", "CLOSED", "--data-dir", data_dir, "--json").out
    symbol = f"NSE:PAGE{list(PAGES).index(page)}"
    documented = DocumentedPage(page, exitflow, data_dir, symbol, json.loads(listed)[0]["trade_id"])
    documented.write_files()
    done = documented.run()
    assert len(done) == PAGES[page]
    for words, ended in done:
        refusal = REFUSED.get((words[0], words[1]), "no refusal")
        assert ended.status == 0 or refusal in ended.err, (words, ended.err)
