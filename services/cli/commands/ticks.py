"""`exitflow ticks`: send one, show the last, replay a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from services.cli.commands.ticks_rehome import rehome_ticks
from services.cli.commands.ticks_reset import reset_ticks
from services.cli.support.api_client import ApiClient, path_of
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.connection import Target
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import note, show_facts, show_json
from services.cli.support.tapes.reading_progress import reading_progress
from services.cli.support.tapes.tape_age import warning
from services.cli.support.tapes.tape_options import with_tape_options
from services.cli.support.tapes.tick_tempo import Tempo
from services.cli.support.tick_sender import TickSender
from services.replay.tape.format import TapeFormat
from services.replay.tape.reading import Tape
from shared.clock import SystemClock, rfc3339
from shared.contracts.events import describe
from shared.contracts.ticks import Tick
from shared.errors import ExitflowError, InvalidInput
from shared.wording import plural

_CLOCK = SystemClock()

app = new_app("Send market ticks; reset or move the stored offsets.")
app.command("reset", epilog=examples('ticks reset --reason "the cluster was replaced" --yes'))(reset_ticks)
app.command(
    "rehome", epilog=examples('ticks rehome --reason "twice as many symbols" --dry-run', 'ticks rehome --reason "…"')
)(rehome_ticks)


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `ticks` to a panel of the help."""
    root.add_typer(app, name="ticks", rich_help_panel=panel)


@app.command("send", epilog=examples("ticks send NSE:INFY 1520.35", "ticks send NSE:INFY 1520.35 --seq 7"))
def send(
    symbol: Annotated[str, typer.Argument(help="EXCHANGE:SYMBOL, e.g. NSE:INFY.")],
    price: Annotated[str, typer.Argument(help="Last traded price, in rupees.")],
    ts: Annotated[str | None, typer.Option(help="Its time, RFC 3339; now by default.")] = None,
    seq: Annotated[int, typer.Option(help="Orders ticks of the same time.", min=0)] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send one tick; done when Kafka has it."""
    tick = _tick(symbol, price, ts, seq)
    sender = TickSender(require_kafka(Target.choose(data_dir).settings()))
    sender.send(tick)
    sender.flush()
    if as_json:
        show_json(tick.model_dump(mode="json"))
    else:
        print(f"sent {tick.symbol} {price} {rfc3339(tick.ts)}")


@app.command("last", epilog=examples("ticks last NSE:INFY", "ticks last NSE:INFY --json"))
def last(
    symbol: Annotated[str, typer.Argument(help="EXCHANGE:SYMBOL, e.g. NSE:INFY.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the last judged price of a symbol, its tick size and its lot size."""
    target = Target.choose(data_dir)
    with ApiClient(target.exit_api, target.token) as api:
        price = api.get(path_of("/prices/{}", symbol))
    show_json(price) if as_json else show_facts(price.items())


@app.command(
    "replay",
    epilog=examples(
        "ticks replay day.csv --speed 10",
        "ticks replay day.jsonl --speed max",
        "ticks replay day.csv --from-line 1201",
        "ticks replay dump.csv.gz --columns ltp=last_price,ts=exchange_timestamp --tz Asia/Kolkata",
        "ticks replay candles.csv --symbol NSE:INFY",
    ),
)
@with_tape_options
def replay(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with symbol,ltp,ts,seq or date,open,high,low,close, JSON lines or array, Parquet."),
    ],
    tape_format: TapeFormat,
    speed: Annotated[str, typer.Option(help="Times as fast as recorded, or max.")] = "1",
    nights: Annotated[bool, typer.Option("--nights", help="Wait from one day to the next too.")] = False,
    from_line: Annotated[int, typer.Option(help="Begin at this line of the file.", min=1)] = 1,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send the ticks of a file, at recorded speed or faster.

    At the end or after an interruption it prints the last line acknowledged by Kafka; continue behind it with
    --from-line.
    """
    tempo = Tempo.parse(speed, nights=nights)
    target = Target.choose(data_dir)
    sender = TickSender(require_kafka(target.settings()))
    tape = Tape(file, tape_format, from_line)
    with ApiClient(target.exit_api, target.token) as api:
        if said := warning(tape, api):
            note(said)
    last_line = _send_all(tape, sender, tempo)
    for remark in tape.remarks():
        note(remark)
    if sender.sent == 0 and from_line > 1:
        raise InvalidInput(f"{file} has no tick on line {from_line} or after it: nothing was sent")
    if as_json:
        show_json({"sent": sender.sent, "last_line": last_line, "skipped": tape.skipped})
    else:
        print(f"sent {plural(sender.sent, 'tick')}; the last stands on line {last_line} of {file}")


def _send_all(tape: Tape, sender: TickSender, tempo: Tempo) -> int:
    """Send the ticks and return the last one's line; flush in any case."""
    handed_over = 0
    with reading_progress() as progress:
        task = progress.add_task(f"replaying {tape.name}", total=None, place="")
        try:
            for recorded in tape:
                tick = recorded.tick
                time.sleep(tempo.wait_s(tick.ts, _CLOCK.monotonic()))
                sender.send(tick)
                handed_over = recorded.line
                progress.update(task, place=tape.place(recorded))
            sender.flush()
        except (ExitflowError, KeyboardInterrupt):
            sender.flush()
            note(f"stopped; Kafka has all up to line {handed_over}, go on with --from-line {handed_over + 1}")
            raise
    return handed_over


def _tick(symbol: str, price: str, ts: str | None, seq: int) -> Tick:
    try:
        return Tick.model_validate_strings(
            {"symbol": symbol, "ltp": price, "ts": ts or rfc3339(_CLOCK.now()), "seq": str(seq)}
        )
    except ValidationError as error:
        raise typer.BadParameter(f"not a tick: {describe(error)}") from error
