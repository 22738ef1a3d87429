"""The options for a range of a Kafka topic instead of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import typer

from services.cli.support.more_options import Options, with_gathered_options
from services.cli.support.tapes.topic_range import EVERY_PARTITION, Offsets, TopicRange
from services.replay.tape.format import TapeFormat
from services.replay.tape.times import Times

_PANEL: Final = "Ticks of a Kafka topic"


def _option(help_text: str, metavar: str | None = None, least: int | None = None) -> Any:
    return typer.Option(help=help_text, metavar=metavar, min=least, rich_help_panel=_PANEL, show_default=False)


_OPTIONS: Final[Options] = {
    "topic": (
        Annotated[str | None, _option("Read this topic instead of a file, e.g. market.ticks.v1.")],
        None,
    ),
    "from_offset": (
        Annotated[
            list[str] | None,
            _option("First offset, of one partition or of all; the first kept by default.", "[PARTITION:]OFFSET"),
        ],
        None,
    ),
    "to_offset": (
        Annotated[
            list[str] | None,
            _option("Stop before this offset; at the end of today by default.", "[PARTITION:]OFFSET"),
        ],
        None,
    ),
    "since": (Annotated[str | None, _option("First arrival, e.g. 2026-01-13T09:15:00+05:30.", "TIME")], None),
    "until": (Annotated[str | None, _option("Stop before this arrival.", "TIME")], None),
    "partitions": (
        Annotated[int | None, _option("Partitions when its ticks were written, if it has more today.", None, 1)],
        None,
    ),
}


def with_topic_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command with tape options these options too; it takes them as `topic_range`, None without a topic."""
    return with_gathered_options(
        command, "topic_range", _OPTIONS, lambda given, others: _range(given, others["tape_format"])
    )


def _range(given: dict[str, Any], tape_format: TapeFormat) -> TopicRange | None:
    if given["topic"] is None:
        alone = [_flag(name) for name, value in given.items() if value]
        if alone:
            raise typer.BadParameter(f"{alone[0]} needs --topic")
        return None
    form = tape_format
    if form != TapeFormat(symbol=form.symbol, zone=form.zone, date=form.date, epoch=form.epoch):
        raise typer.BadParameter("--topic takes no options of recorded ticks but --symbol, --tz, --date and --epoch")
    for offset, time in (("from_offset", "since"), ("to_offset", "until")):
        if given[offset] and given[time]:
            raise typer.BadParameter(f"give {_flag(offset)} or {_flag(time)}, not both")
    times = Times(tape_format)
    return TopicRange(
        topic=given["topic"],
        from_offsets=_offsets("from_offset", given["from_offset"] or ()),
        to_offsets=_offsets("to_offset", given["to_offset"] or ()),
        since_ms=_ms(times, "since", given["since"]),
        until_ms=_ms(times, "until", given["until"]),
        partitions=given["partitions"],
    )


def _ms(times: Times, name: str, text: str | None) -> int | None:
    """Return the first millisecond not before a time."""
    return None if text is None else -(-times.us(_flag(name), text) // 1000)


def _offsets(name: str, texts: Iterable[str]) -> Offsets:
    offsets: dict[int | None, int] = {}
    for text in (each.strip() for entry in texts for each in entry.split(",")):
        partition, colon, offset = text.rpartition(":")
        if not offset.isdecimal() or (colon and not partition.isdecimal()):
            raise typer.BadParameter(f"{_flag(name)} takes OFFSET or PARTITION:OFFSET, as 3:1200, not {text!r}")
        offsets[int(partition) if colon else EVERY_PARTITION] = int(offset)
    return offsets


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
