"""`exitflow replay`: recorded ticks through a book of trades, offline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.cli.support.calendar_files import read_calendars
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.output import note
from services.cli.support.replaying.plot_files import plot_writer
from services.cli.support.replaying.replay_output import Format, show_played, show_verified
from services.cli.support.tapes.reading_progress import reading_progress
from services.cli.support.tapes.tape_options import with_tape_options
from services.cli.support.tapes.topic_options import with_topic_options
from services.cli.support.tapes.topic_range import TopicRange
from services.replay.book import BookedTrade, read_book, read_plan
from services.replay.hours import square_off
from services.replay.known_limits import NONE_KNOWN, KnownLimits
from services.replay.player import Played, Player, Terms
from services.replay.plots.equity import equity_plot
from services.replay.report import equity
from services.replay.stored import StoredSignal, read_stored
from services.replay.tape.format import TapeFormat
from services.replay.tape.reading import Tape
from services.replay.tape.recorded import RecordedTick, Recording
from services.replay.verify import Verifier
from shared.errors import InvalidInput
from shared.settings import load_settings

_TICKS_AT_ONCE = 10_000
_DATABASE = "database"


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "replay",
        rich_help_panel=panel,
        epilog=examples(
            "replay day.csv --book book.json",
            "replay candles.csv --symbol NSE:INFY --book book.csv --plan plan.json --compare wider.json",
            "replay day.csv.gz --book book.json --format csv --plot pnl.png",
            "replay day.csv --book trades.jsonl --verify signals.jsonl",
            "replay day.csv --book trades.jsonl --verify database",
            "replay --topic market.ticks.v1 --since 2026-01-13T09:15 --tz Asia/Kolkata --book book.json",
            "replay --topic market.ticks.v1 --from-offset 3:1200 --to-offset 3:5000 --symbol NSE:INFY --book book.json",
        ),
    )(replay)


@with_tape_options
@with_topic_options
def replay(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV with symbol,ltp,ts,seq or date,open,high,low,close, JSON lines or array, Parquet."),
    ] = None,
    tape_format: TapeFormat,
    topic_range: TopicRange | None,
    book: Annotated[Path, typer.Option(help="Trades: JSON, a list of bodies of POST /trades, or CSV.")],
    plan: Annotated[Path | None, typer.Option(help="JSON exit plan for every trade.")] = None,
    compare_plan: Annotated[Path | None, typer.Option("--compare", help="A second JSON exit plan.")] = None,
    calendar: Annotated[
        Path | None, typer.Option(help="Sessions and square-off times, as `calendar load` takes them.")
    ] = None,
    latency_ms: Annotated[int, typer.Option(help="From an exit to its order at the broker.", min=0)] = 0,
    form: Annotated[Format, typer.Option("--format", help="Form of the result.")] = Format.TABLE,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Write the net P&L over time: a file.svg or file.png.")
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            help="Compare with stored exits: payloads of exits.signals.v1 as JSON lines, or the word database.",
            metavar="FILE|database",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Play recorded ticks through a book of trades, offline, and show exits and P&L.

    The engine, the paper broker's matching and the charges are those of the services. No stack is needed, but for
    --topic and `--verify database`. With --verify the exit status is 1 if a stored exit differs from the rules.
    """
    form = Format.JSON if as_json else form
    if verify is not None and (plan or compare_plan or plot_file or latency_ms):
        raise typer.BadParameter("--verify takes no --plan, --compare, --plot and --latency-ms")
    write_plot = None if plot_file is None else plot_writer(plot_file)
    recording = _recording(file, tape_format, topic_range, data_dir)
    trades = read_book(book, None if plan is None else read_plan(plan))
    hours = square_off(load_settings().square_off_mis, None if calendar is None else read_calendars(calendar))
    if verify is not None:
        stored, limits = _stored(verify, trades, data_dir)
        _verify(recording, Verifier(trades, stored, hours, limits), form)
        return
    played = _play(recording, _books(trades, compare_plan), Terms(hours, latency_ms=latency_ms))
    show_played(list(played.values()), form)
    if write_plot is not None:
        write_plot(equity_plot({name: list(equity(each)) for name, each in played.items()}))


def _recording(
    file: Path | None, tape_format: TapeFormat, topic_range: TopicRange | None, data_dir: Path | None
) -> Recording:
    """Return the file or the range of a topic, whichever is named."""
    if file is not None and topic_range is None:
        return Tape(file, tape_format)
    if file is not None or topic_range is None:
        raise typer.BadParameter("name a FILE or a --topic, and not both")
    # A replay of a file does without a Kafka client and its settings.
    from services.cli.support.connection import Target
    from services.cli.support.kafka_check import require_kafka
    from services.cli.support.tapes.topic_tape import TopicTape

    return TopicTape(require_kafka(Target.choose(data_dir).settings()), topic_range, tape_format)


def _books(trades: Sequence[BookedTrade], compare_plan: Path | None) -> dict[str, Sequence[BookedTrade]]:
    """Return the trades, and the same ones with the second plan if there is one, by the names in a plot."""
    if compare_plan is None:
        return {"plan": trades}
    other = read_plan(compare_plan)
    return {"plan": trades, "compared": [each.with_plan(other) for each in trades]}


def _play(recording: Recording, books: Mapping[str, Sequence[BookedTrade]], terms: Terms) -> dict[str, Played]:
    """Play the recording through every book at once."""
    players = {name: Player(book, terms) for name, book in books.items()}
    for tick in _shown(recording):
        for player in players.values():
            player.play(tick)
    played = {name: player.end() for name, player in players.items()}
    _require_order(recording, played["plan"])
    return played


def _require_order(recording: Recording, played: Played) -> None:
    """Refuse a recording with most ticks older than those before them: its few exits would mean nothing."""
    if 2 * played.stale > played.ticks:
        raise InvalidInput(
            f"{recording.name}: {played.stale} of {played.ticks} ticks are older than one before them; sort it by "
            "time, the oldest first"
        )


def _shown(recording: Recording) -> Iterator[RecordedTick]:
    """Yield the ticks, show the progress, and report skipped rows."""
    with reading_progress() as progress:
        task = progress.add_task(f"replaying {recording.name}", total=None, place="")
        for number, tick in enumerate(recording):
            yield tick
            if number % _TICKS_AT_ONCE == 0:
                progress.update(task, place=recording.place(tick))
    for remark in recording.remarks():
        note(remark)


def _verify(recording: Recording, verifier: Verifier, form: Format) -> None:
    """Compare stored exits with the decisions of the rules; exit with status 1 if one differs."""
    for tick in _shown(recording):
        verifier.play(tick)
    verified = verifier.end()
    show_verified(verified, form)
    if verified.differences:
        raise typer.Exit(1)


def _stored(
    source: str, trades: Sequence[BookedTrade], data_dir: Path | None
) -> tuple[list[StoredSignal], KnownLimits]:
    """Return the stored exits, and the known circuit limits."""
    if source != _DATABASE:
        return read_stored(Path(source)), NONE_KNOWN
    # A replay of files does without a client of the database.
    from services.cli.support.replaying.stored_exits import stored_exits, stored_limits

    exits = stored_exits(data_dir, [each.trade.trade_id for each in trades])
    return exits, stored_limits(data_dir, {symbol for each in trades for symbol in each.symbols})
