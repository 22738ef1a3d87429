"""`exitflow exits`: kill-switch, rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.api_client import Json
from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, examples, needed_reason
from services.cli.support.output import show_facts, show_json
from shared.contracts.vocabulary import KillSwitchMode, RolloutMode


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `exits`."""
    group.command(
        "kill-switch", epilog=examples("exits kill-switch", 'exits kill-switch ALL --reason "broker incident"')
    )(kill_switch)
    group.command(
        "rollout",
        epilog=examples(
            "exits rollout",
            'exits rollout limited --symbol NSE:INFY --symbol NSE:SBIN --reason "first week"',
            'exits rollout full --reason "first week went well"',
        ),
    )(rollout)


def kill_switch(
    mode: Annotated[
        KillSwitchMode | None, typer.Argument(help="Set it; shown if left out.", case_sensitive=False)
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; audited. Needed to set it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show or set the kill switch. Only ALL holds back exits, and never one forced by hand."""
    body = None if mode is None else {"mode": mode.value, "reason": needed_reason(reason)}
    _switch("/kill-switch", body, data_dir, as_json)


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
    body = None if mode is None else {"mode": mode.value, **lists, "reason": needed_reason(reason)}
    _switch("/rollout", body, data_dir, as_json)


def _switch(path: str, body: Json | None, data_dir: Path | None, as_json: bool) -> None:
    with exit_api(data_dir) as api:
        switch = api.get(path) if body is None else api.put(path, body)
    show_json(switch) if as_json else show_facts(switch.items())
