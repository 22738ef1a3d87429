"""The whole tree of commands: JSON, examples, and a command for every route of both APIs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli.main import app
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

OPENAPI = Path(__file__).resolve().parents[3] / "docs" / "contracts" / "openapi"
ROOT: Any = typer.main.get_command(app)

WITHOUT_JSON = {
    "up": "runs until it is stopped; stack.json tells the rest",
    "forward": "runs until it is stopped",
    "migrate sql": "prints SQL",
}
ROUTES = {
    "GET /readyz": "health",
    "POST /exits": "exits force",
    "POST /exits/bulk": "exits force",
    "GET /exits": "exits list",
    "GET /exits/pending": "exits pending",
    "GET /exits/{intent_id}": "exits show",
    "GET /exits/why/{trade_id}": "exits why",
    "GET /exits/nearest": "exits nearest",
    "GET /protective-stops": "exits stops",
    "GET /protective-stops/missing": "exits stops",
    "POST /exits/{intent_id}/resolve": "exits resolve",
    "POST /exits/{intent_id}/withdraw": "exits withdraw",
    "POST /exits/withdraw/bulk": "exits withdraw",
    "GET /kill-switch": "exits kill-switch",
    "PUT /kill-switch": "exits kill-switch",
    "GET /rollout": "exits rollout",
    "PUT /rollout": "exits rollout",
    "GET /brokers": "accounts list",
    "GET /brokers/{user_broker_id}": "accounts show",
    "PUT /brokers/{user_broker_id}": "accounts connect",
    "GET /brokers/{user_broker_id}/loss-limit": "accounts show",
    "PUT /brokers/{user_broker_id}/loss-limit": "accounts limit",
    "POST /brokers/{user_broker_id}/release": "accounts release",
    "GET /calendars": "calendar list",
    "PUT /calendars": "calendar load",
    "GET /calendars/day": "calendar show",
    "GET /prices": "ticks last",
    "GET /prices/{symbol}": "ticks last",
    "GET /instruments": "instruments show",
    "PUT /instruments": "instruments load",
    "GET /instruments/loads": "instruments status",
    "PUT /instruments/refresh": "instruments load",
    "GET /outbox": "outbox status",
    "GET /outbox/parked": "outbox parked",
    "POST /outbox/parked/replay": "outbox replay",
    "POST /outbox/parked/discard": "outbox discard",
    "POST /outbox/shards/{shard}/pause": "outbox pause",
    "POST /outbox/shards/{shard}/resume": "outbox resume",
    "GET /audit": "audit",
    "GET /whoami": "tokens show",
    "POST /trades": "trades open",
    "GET /trades": "trades list",
    "GET /trades/{trade_id}": "trades show",
    "PATCH /trades/{trade_id}/exit-plan": "trades plan",
    "GET /trades/{trade_id}/timeline": "trades show",
    "GET /pnl": "pnl",
    "GET /charges/schedules": "charges schedules",
    "POST /charges/finalise": "charges finalise",
    "GET /corporate-actions": "corporate-actions list",
    "POST /corporate-actions/apply": "corporate-actions apply",
    "POST /corporate-actions/{action_id}/reverse": "corporate-actions reverse",
}
OPTIONS = {
    "user_broker_id": {"--broker", "--user-broker"},
    "exit_reason": {"--reason"},
    "trade_id": {"--trade"},
    "trade_ids": {"--trade"},
    "older_than_s": {"--older-than"},
    "product_type": {"--product"},
    "counts": {"--count"},
    "order": {"--newest"},
    "standing": {"--all"},
    "group_by": {"--by"},
    "format": {"--csv"},
    "symbol": {"--symbol", "symbol"},
    "symbols": {"symbol"},
}
"""Options and arguments of other names than their query parameter."""
WITHOUT_OPTION = {
    "cursor": "a command reads page after page up to --limit",
    "gates": "a table shows those in the way, and JSON all",
}
FOR_MACHINES = {"GET /healthz", "GET /metrics", "POST /exits/execute", "POST /exits/hold", "POST /postbacks/kite"}


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command with its words."""
    context = ROOT.context_class(group, info_name=path[-1] if path else "exitflow")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


def operations() -> set[str]:
    """Return every route of both APIs."""
    documents = [json.loads(file.read_text()) for file in sorted(OPENAPI.glob("*-api.json"))]
    assert len(documents) == 2
    return {
        f"{method.upper()} {path}"
        for document in documents
        for path, methods in document["paths"].items()
        for method in methods
    }


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_command_has_sentence_and_example_naming_it(words: str) -> None:
    command = COMMANDS[words]
    assert command.help
    assert f"$ exitflow {words}" in command.epilog


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_every_argument_and_option_says_what_it_is_for(words: str) -> None:
    assert [each.name for each in COMMANDS[words].params if not each.help] == []


@pytest.mark.parametrize("words", sorted(each for each in COMMANDS if not each.startswith("run ")))
def test_a_command_prints_json_unless_it_says_why_not(words: str) -> None:
    flags = {flag for parameter in COMMANDS[words].params for flag in parameter.opts}
    assert ("--json" in flags) != (words in WITHOUT_JSON)


def test_every_route_has_a_command() -> None:
    assert ROUTES.keys() | FOR_MACHINES == operations()
    assert set(ROUTES.values()) <= COMMANDS.keys()


def query_parameters() -> set[tuple[str, str]]:
    """Return every query parameter of both APIs with its route."""
    return {
        (f"{method.upper()} {path}", parameter["name"])
        for file in sorted(OPENAPI.glob("*-api.json"))
        for path, methods in json.loads(file.read_text())["paths"].items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


@pytest.mark.parametrize(("route", "name"), sorted(query_parameters()))
def test_every_query_parameter_has_an_option_or_a_reason(route: str, name: str) -> None:
    command = COMMANDS[ROUTES[route]]
    flags = {flag for parameter in command.params for flag in (*parameter.opts, parameter.name)}
    offered = not flags.isdisjoint(OPTIONS.get(name, {f"--{name.replace('_', '-')}"}))
    assert offered != (name in WITHOUT_OPTION)


@pytest.mark.parametrize(
    "words",
    ["trades list", "exits pending", "accounts list", "calendar list", "instruments status", "outbox status", "audit",
     "tokens show", "corporate-actions list", "pnl", "ticks last NSE:INFY"],
)  # fmt: skip
def test_an_error_of_a_connection_says_what_to_do(exitflow: Exitflow, tmp_path: Path, words: str) -> None:
    absent = exitflow(*words.split(), "--data-dir", str(tmp_path))
    assert (absent.status, "`exitflow up` starts one" in absent.err) == (1, True)
    stack = {"exit_api": "http://127.0.0.1:1", "trade_api": "http://127.0.0.1:1", "token": "t"}
    (tmp_path / "stack.json").write_text(json.dumps(stack | {"kafka_bootstrap_servers": "127.0.0.1:1"}))
    silent = exitflow(*words.split(), "--data-dir", str(tmp_path))
    assert (silent.status, "`exitflow doctor` finds out why" in silent.err) == (1, True)
    assert len(silent.err.splitlines()) == 1
