"""The demo from its first line to its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deploy.local.kafka.selection import KafkaChoice
from services.checker.checker import check_once_settled
from services.checker.finding import Finding, verdict
from services.checker.stack import system_under_check
from services.cli.support.api_client import ApiClient, Json
from services.cli.support.connection import Target
from services.cli.support.output import note, show_json
from services.cli.support.tick_sender import TickSender
from services.demo.report import show_findings, show_trades, trades_as_json
from services.demo.retrying_api_client import RetryingApiClient
from services.demo.scenario import Scenario, make_scenario
from services.demo.session import DemoSession
from services.demo.stack import data_directory, running_stack
from shared.clock import Clock
from shared.errors import Unavailable
from shared.wording import plural

WALK_STEPS = 300
STEP_S = 0.02
CLOSE_LIMIT_S = 240
"""An order with a killed sender counts as never placed after two reads of the broker's books, 120 s apart."""
SETTLE_LIMIT_S = 45
PATIENCE_WITH_KAFKA_S = 120


@dataclass(frozen=True)
class DemoOptions:
    """Options of the demo; the command's help explains each."""

    seed: int
    trades: int
    symbols: int
    data_dir: Path | None
    keep: bool
    kafka: KafkaChoice
    as_json: bool


def run_demo(options: DemoOptions, clock: Clock) -> int:
    """Play it; 0 if every trade was closed and everything holds, else 1.

    Raises
    ------
    Unavailable
        The stack did not start, or something of it does not answer.
    """
    scenario = make_scenario(options.seed, options.trades, options.symbols)
    with (
        data_directory(options.data_dir, keep=options.keep, say=note) as data_dir,
        running_stack(data_dir, options.kafka, note) as running,
    ):
        target = Target.of_stack(running)
        with RetryingApiClient(target.trade_api, target.token) as api:
            trades = _play(scenario, target, api, clock)
        findings = check_once_settled(system_under_check(data_dir, running), clock, SETTLE_LIMIT_S)
        _show(trades, findings, options.as_json)
    return _verdict(scenario, trades, findings)


def run_demo_on(target: Target, options: DemoOptions, clock: Clock) -> int:
    """Run the demo on an existing system, tolerating restarts; return 0 if every trade closed.

    Checking the invariants needs the system's databases; use `exitflow check`.

    Raises
    ------
    Unavailable
        The system does not answer, not even after a while.
    """
    scenario = make_scenario(options.seed, options.trades, options.symbols)
    with RetryingApiClient(target.trade_api, target.token) as api:
        trades = _play(scenario, target, api, clock)
    if options.as_json:
        show_json(trades_as_json(trades, []))
    else:
        show_trades(trades)
    note(f"{len(trades)} of {plural(len(scenario.trades), 'trade')} closed; run `exitflow check` on its databases")
    return 0 if len(trades) == len(scenario.trades) else 1


def _play(scenario: Scenario, target: Target, api: ApiClient, clock: Clock) -> list[Json]:
    sender = TickSender(target.settings(), PATIENCE_WITH_KAFKA_S)
    with _progress() as progress:
        session = DemoSession(scenario, api, sender, clock, STEP_S)
        count = len(scenario.trades)
        session.open_trades(_reporter(progress, progress.add_task("trades opened", total=count)))
        ticks = _reporter(progress, progress.add_task("ticks sent", total=None))
        closed = _reporter(progress, progress.add_task("trades closed", total=count))
        try:
            session.play(WALK_STEPS, CLOSE_LIMIT_S, ticks, closed)
        except Unavailable as error:
            note(f"exitflow: {error}")
        sender.flush()
        return session.closed_trades()


def _reporter(progress: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda completed: progress.update(task, completed=completed)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _show(trades: list[Json], findings: list[Finding], as_json: bool) -> None:
    if as_json:
        show_json(trades_as_json(trades, findings))
        return
    show_trades(trades)
    show_findings(findings)


def _verdict(scenario: Scenario, trades: list[Json], findings: list[Finding]) -> int:
    wanted = len(scenario.trades)
    fine = len(trades) == wanted and all(finding.holds for finding in findings)
    note(f"{len(trades)} of {plural(wanted, 'trade')} closed; {verdict(findings)}")
    return 0 if fine else 1
