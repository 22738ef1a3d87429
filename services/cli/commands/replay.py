"""`exitflow replay`: recorded ticks through a book of trades, offline."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.support.command_line import DataDir, examples
from services.cli.support.line_progress import line_progress
from services.cli.support.output import note, show_facts, show_json, show_table
from services.cli.support.tape_options import with_tape_options
from services.exit_qualification.domain.square_off import SquareOff
from services.replay.book import BookedTrade, read_book, read_plan
from services.replay.player import Played, Player, Terms
from services.replay.plot import plot
from services.replay.report import EXIT_COLUMNS, compare, document, equity, exit_row, open_row, total_row, totals
from services.replay.stored import StoredSignal, read_stored
from services.replay.tape.format import TapeFormat
from services.replay.tape.reading import Tape
from services.replay.tape.recorded import RecordedTick
from services.replay.verify import Verified, Verifier, verification
from services.trade_management.domain.shipped_charges import SHIPPED_FROM
from shared.contracts.vocabulary import ProductType
from shared.errors import InvalidInput
from shared.settings import load_settings

_TICKS_AT_ONCE = 10_000
_MOST_DIFFERENCES = 20
_DATABASE = "database"
_TABLE_COLUMNS = tuple(name for name in EXIT_COLUMNS if name not in ("leg", "detected_at", "detected_price"))


class Format(StrEnum):
    """Form of the result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "replay",
        rich_help_panel=panel,
        epilog=examples(
            "replay day.csv --book book.json",
            "replay candles.csv --symbol NSE:INFY --book book.csv --plan plan.json --compare wider.json",
            "replay day.csv.gz --book book.json --format csv --plot pnl.svg",
            "replay day.csv --book trades.jsonl --verify signals.jsonl",
            "replay day.csv --book trades.jsonl --verify database",
        ),
    )(replay)


@with_tape_options
def replay(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with symbol,ltp,ts,seq or date,open,high,low,close, JSON lines or array, Parquet."),
    ],
    told: TapeFormat,
    book: Annotated[Path, typer.Option(help="Trades: JSON, a list of bodies of POST /trades, or CSV.")],
    plan: Annotated[Path | None, typer.Option(help="JSON exit plan for every trade.")] = None,
    compare_plan: Annotated[Path | None, typer.Option("--compare", help="A second JSON exit plan.")] = None,
    latency_ms: Annotated[int, typer.Option(help="From an exit to its order at the broker.", min=0)] = 0,
    form: Annotated[Format, typer.Option("--format", help="Form of the result.")] = Format.TABLE,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Write the net P&L over time as SVG.")] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            help="Compare with stored exits: payloads of exits.signals.v1 as JSON lines, or the word database.",
            metavar="FILE|database",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Play recorded ticks through a book of trades, offline, and show exits and P&L.

    The engine, the paper broker's matching and the charges are those of the services. No stack is needed, but for
    `--verify database`. With --verify the exit status is 1 if a stored exit is not what the rules decide.
    """
    if verify is not None:
        if plan or compare_plan or plot_file or latency_ms:
            raise typer.BadParameter("--verify takes no --plan, --compare, --plot and --latency-ms")
        _verify(Tape(file, told), file, read_book(book), verify, form, data_dir)
        return
    if plot_file is not None and plot_file.suffix != ".svg":
        raise InvalidInput(f"--plot writes SVG: name a file that ends with .svg, not {plot_file}")
    trades = read_book(book, None if plan is None else read_plan(plan))
    books = [trades]
    if compare_plan is not None:
        other = read_plan(compare_plan)
        books.append([each.with_plan(other) for each in trades])
    played = _play(Tape(file, told), file, books, _terms(latency_ms))
    _say_estimates(played)
    _SHOW[form](played)
    if plot_file is not None:
        names = ("plan", "compared")
        plot_file.write_text(plot({name: list(equity(each)) for name, each in zip(names, played, strict=False)}))


def _terms(latency_ms: int) -> Terms:
    return Terms(square_off=SquareOff({ProductType.MIS: load_settings().square_off_mis}), latency_ms=latency_ms)


def _play(tape: Tape, file: Path, books: Sequence[Iterable[BookedTrade]], terms: Terms) -> list[Played]:
    """Play the tape through every book at once."""
    players = [Player(book, terms) for book in books]
    for tick in _shown(tape, file):
        for player in players:
            player.play(tick)
    return [player.end() for player in players]


def _shown(tape: Tape, file: Path) -> Iterator[RecordedTick]:
    """Yield the ticks, and show how far they are."""
    with line_progress() as progress:
        task = progress.add_task(f"replaying {file.name}", total=None, line=0)
        for number, tick in enumerate(tape):
            yield tick
            if number % _TICKS_AT_ONCE == 0:
                progress.update(task, line=tick.line)
    if tape.skipped:
        note(f"left out {tape.skipped} invalid lines")


def _verify(
    tape: Tape, file: Path, trades: Sequence[BookedTrade], source: str, form: Format, data_dir: Path | None
) -> None:
    """Compare stored exits with what the rules decide; exit with status 1 if one differs."""
    stored = _stored(source, trades, data_dir)
    verifier = Verifier(trades, stored, _terms(0).square_off)
    for tick in _shown(tape, file):
        verifier.play(tick)
    verified = verifier.end()
    if form is Format.JSON:
        show_json(verification(verified))
    else:
        _show_verified(verified)
    if verified.differences:
        raise typer.Exit(1)


def _stored(source: str, trades: Sequence[BookedTrade], data_dir: Path | None) -> list[StoredSignal]:
    if source != _DATABASE:
        return read_stored(Path(source))
    from services.cli.support.stored_exits import stored_exits  # a replay of files does without a database's client

    return stored_exits(data_dir, [each.trade.trade_id for each in trades])


def _show_verified(verified: Verified) -> None:
    for each in verified.differences[:_MOST_DIFFERENCES]:
        print(f"trade {each.trade_id} of {each.symbol}: {each.what}")
    more = len(verified.differences) - _MOST_DIFFERENCES
    if more > 0:
        print(f"and {more} more trades that differ")
    print(
        f"{verified.same} stored exits are what the rules decide, {len(verified.differences)} trades differ, "
        f"{verified.by_hand} exits were made by hand, {verified.unknown} are of trades that the book does not have"
    )


def _say_estimates(played: Sequence[Played]) -> None:
    first = played[0]
    if first.ticks == 0:
        note("no tick of the file is of a symbol of the book")
    if first.stale:
        note(f"{first.stale} ticks are older than the one before them and have no effect")
    if any(each.trade.entered_on < SHIPPED_FROM for each in first.exits):
        note(f"charges before {SHIPPED_FROM} are estimated with the rates of that day")


def _show_table(played: Sequence[Played]) -> None:
    first = played[0]
    rows = [exit_row(each) for each in first.exits]
    show_table(_TABLE_COLUMNS, ([row[name] for name in _TABLE_COLUMNS] for row in rows), title="exits")
    if first.open:
        found = [open_row(each) for each in first.open]
        show_table(tuple(found[0]), ([*row.values()] for row in found), title="open")
    if len(played) == 1:
        show_facts(total_row(totals(first)).items())
        return
    compared = [each.row() for each in compare(*played)]
    if compared:
        show_table(tuple(compared[0]), ([*row.values()] for row in compared), title="by trade")
    sums = [total_row(totals(each)) for each in played]
    show_table(("", "plan", "compared"), ((name, sums[0][name], sums[1][name]) for name in sums[0]), title="totals")


def _show_csv(played: Sequence[Played]) -> None:
    """Print one row per exit; of two replays, a first column says which plan."""
    named = len(played) > 1
    writer = csv.writer(sys.stdout)
    writer.writerow([*(["plan"] if named else []), *EXIT_COLUMNS])
    for name, each in zip(("plan", "compared"), played, strict=False):
        for exit_ in each.exits:
            row = exit_row(exit_)
            writer.writerow([*([name] if named else []), *(row[column] for column in EXIT_COLUMNS)])


def _show_json(played: Sequence[Played]) -> None:
    found: dict[str, Any] = document(played[0])
    if len(played) > 1:
        found = {"plan": found, "compared": document(played[1]), "by_trade": [each.row() for each in compare(*played)]}
    show_json(found)


_SHOW = {Format.TABLE: _show_table, Format.CSV: _show_csv, Format.JSON: _show_json}
