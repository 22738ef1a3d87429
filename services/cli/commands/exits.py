"""`exitflow exits`: pending, list, show, why, force, kill-switch, rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands import exits_why
from services.cli.support.api_client import ApiClient, Json
from services.cli.support.command_line import AsJson, DataDir, IdempotencyKey, examples, new_app
from services.cli.support.connection import Target
from services.cli.support.output import show_facts, show_json, show_table
from shared.contracts.vocabulary import IntentStatus, KillSwitchMode, RolloutMode

app = new_app("Look at exits, force them, hold them back.")
exits_why.add_to(app)

_COLUMNS = (
    "intent_id",
    "trade_id",
    "symbol",
    "direction",
    "exit_reason",
    "episode_id",
    "status",
    "quantity",
    "filled_quantity",
    "detected_price",
    "age_ms",
    "executable",
    "gates",
)
_GATE_COLUMNS = ("gate", "verdict", "detail")

Symbol = Annotated[str | None, typer.Option(help="Only on this symbol.")]
Broker = Annotated[str | None, typer.Option(help="Only at this user broker.")]
Status = Annotated[IntentStatus | None, typer.Option(help="Only with this status.", case_sensitive=False)]
Limit = Annotated[int, typer.Option(help="Exits at most.", min=1)]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `exits` to a panel of the help."""
    root.add_typer(app, name="exits", rich_help_panel=panel)


def exit_api(data_dir: Path | None) -> ApiClient:
    """Return a client of the configured exit-api."""
    target = Target.choose(data_dir)
    return ApiClient(target.exit_api, target.token)


@app.command("pending", epilog=examples("exits pending", "exits pending --symbol NSE:INFY --status PLACED --json"))
def pending(
    symbol: Symbol = None,
    broker: Broker = None,
    status: Status = None,
    limit: Limit = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List undecided exits, oldest first."""
    _list("/exits/pending", data_dir, as_json, limit, symbol=symbol, user_broker_id=broker, status=status)


@app.command("list", epilog=examples("exits list --status FAILED", "exits list --trade 019abc… --json"))
def list_exits(
    trade: Annotated[str | None, typer.Option(help="Only of this trade.", metavar="TRADE_ID")] = None,
    symbol: Symbol = None,
    broker: Broker = None,
    status: Status = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List exits of every status, oldest first."""
    _list("/exits", data_dir, as_json, limit, trade_id=trade, symbol=symbol, user_broker_id=broker, status=status)


@app.command("show", epilog=examples("exits show 019abc…"))
def show(
    intent_id: Annotated[str, typer.Argument(help="The intent's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one exit with the verdict of every gate."""
    with exit_api(data_dir) as api:
        _show_intent(api.get(f"/exits/{intent_id}"), as_json)


@app.command(
    "force", epilog=examples('exits force 019abc… --note "results tomorrow"', "exits force 019abc… --record-only")
)
def force(
    trade_id: Annotated[str, typer.Argument(help="The trade to exit now.")],
    note: Annotated[str, typer.Option("--note", help="Why; kept with the exit.")] = "forced from the command line",
    record_only: Annotated[
        bool, typer.Option("--record-only", help="Where the rollout executes nothing: write and publish it only.")
    ] = False,
    key: IdempotencyKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Exit a trade at the market, now, by hand."""
    body: Json = {"trade_id": trade_id, "reason_note": note}
    if record_only:
        body["record_only"] = True
    with exit_api(data_dir) as api:
        _show_intent(api.post("/exits", body, key), as_json)


@app.command("kill-switch", epilog=examples("exits kill-switch", 'exits kill-switch ALL --reason "broker incident"'))
def kill_switch(
    mode: Annotated[
        KillSwitchMode | None, typer.Argument(help="Set it; shown if left out.", case_sensitive=False)
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; audited. Needed to set it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show or set the kill switch. Only ALL holds back exits, and never one forced by hand."""
    body = None if mode is None else {"mode": mode.value, "reason": _needed(reason)}
    _switch("/kill-switch", body, data_dir, as_json)


@app.command(
    "rollout",
    epilog=examples(
        "exits rollout",
        'exits rollout limited --symbol NSE:INFY --symbol NSE:SBIN --reason "first week"',
        'exits rollout full --reason "first week went well"',
    ),
)
def rollout(
    mode: Annotated[RolloutMode | None, typer.Argument(help="Set it; shown if left out.", case_sensitive=False)] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="limited: a symbol to execute; repeatable.")] = None,
    broker: Annotated[list[str] | None, typer.Option(help="limited: a user broker to execute at; repeatable.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; audited. Needed to set it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show or set how far the exit pipeline is switched on."""
    lists = {"symbols": symbol or [], "user_broker_ids": broker or []}
    body = None if mode is None else {"mode": mode.value, **lists, "reason": _needed(reason)}
    _switch("/rollout", body, data_dir, as_json)


def _list(path: str, data_dir: Path | None, as_json: bool, limit: int, **query: Any) -> None:
    with exit_api(data_dir) as api:
        exits = list(api.items(path, limit, **query))
    if as_json:
        show_json(exits)
    else:
        rows = ({**item, "gates": _gates_in_brief(item.get("gates") or [])} for item in exits)
        show_table(_COLUMNS, ([row.get(column) for column in _COLUMNS] for row in rows))


def _gates_in_brief(gates: list[Json]) -> str:
    """Return the gates holding an exit back, or a note that all pass."""
    held = [f"{gate['gate']} {gate['verdict']}" for gate in gates if gate["verdict"] != "PASS"]
    return ", ".join(held) or "all pass"


def _show_intent(intent: Json, as_json: bool) -> None:
    if as_json:
        show_json(intent)
        return
    show_facts((name, value) for name, value in intent.items() if name != "gates")
    gates = intent.get("gates") or []
    show_table(_GATE_COLUMNS, ([gate.get(column) for column in _GATE_COLUMNS] for gate in gates), title="gates")


def _switch(path: str, body: Json | None, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        switch = api.get(path) if body is None else api.put(path, body)
    show_json(switch) if as_json else show_facts(switch.items())


def _needed(reason: str | None) -> str:
    if not reason:
        raise typer.BadParameter("--reason is needed to set it: it is audited")
    return reason
