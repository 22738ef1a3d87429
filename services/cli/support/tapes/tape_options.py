"""The options for reading a file of recorded ticks; every command with such a file has them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from services.cli.support.more_options import Options, with_gathered_options
from services.replay.tape.format import FIELDS, CandlePath, Epoch, TapeFormat
from shared.contracts.trades import is_symbol

_PANEL: Final = "Recorded ticks"


def _option(flag: str, help_text: str, metavar: str | None = None) -> Any:
    return typer.Option(flag, help=help_text, metavar=metavar, rich_help_panel=_PANEL, show_default=False)


_OPTIONS: Final[Options] = {
    "columns": (
        Annotated[str | None, _option("--columns", "The file's names, as ltp=last_price,ts=time.")],
        None,
    ),
    "symbol": (
        Annotated[str | None, _option("--symbol", "Symbol of a file without one; of others, read only its ticks.")],
        None,
    ),
    "exchange": (Annotated[str | None, _option("--exchange", "Exchange of symbols without one, e.g. NSE.")], None),
    "tz": (Annotated[str | None, _option("--tz", "Zone of times without one, e.g. Asia/Kolkata.")], None),
    "date": (
        Annotated[str | None, _option("--date", "Day of times without one; read no other day.", "YYYY-MM-DD")],
        None,
    ),
    "epoch": (Annotated[Epoch | None, _option("--epoch", "Unit of numeric times since 1970.")], None),
    "candles": (
        Annotated[
            CandlePath,
            _option("--candles", "Order of high and low in a candle; auto: the low first if it closes higher."),
        ],
        CandlePath.AUTO,
    ),
    "skip_bad": (Annotated[bool, _option("--skip-bad", "Count invalid lines and leave them out.")], False),
}


def with_tape_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it takes them as the keyword argument `tape_format`, a TapeFormat."""
    return with_gathered_options(command, "tape_format", _OPTIONS, lambda given, _: _tape_format(given))


def _tape_format(values: Mapping[str, Any]) -> TapeFormat:
    """Return the format given by options; raise BadParameter for an invalid one."""
    day = values["date"]
    return TapeFormat(
        columns=_columns(values["columns"]),
        symbol=_symbol(values["symbol"], values["exchange"]),
        exchange=values["exchange"],
        zone=_zone(values["tz"]),
        date=None if day is None else _date(day),
        epoch=values["epoch"],
        candles=values["candles"],
        skip_bad=values["skip_bad"],
    )


def _columns(text: str | None) -> dict[str, str]:
    columns = {}
    for pair in text.split(",") if text else ():
        name, equals, column = pair.partition("=")
        if not equals or name.strip() not in FIELDS:
            raise typer.BadParameter(f"--columns takes FIELD=NAME with a field of {', '.join(FIELDS)}, not {pair!r}")
        columns[name.strip()] = column.strip()
    return columns


def _symbol(name: str | None, exchange: str | None) -> str | None:
    symbol = name if name is None or exchange is None or ":" in name else f"{exchange}:{name}"
    if symbol is not None and not is_symbol(symbol):
        raise typer.BadParameter(
            f"--symbol takes EXCHANGE:SYMBOL, or a SYMBOL with --exchange EXCHANGE, e.g. NSE:INFY, not {symbol!r}"
        )
    return symbol


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise typer.BadParameter(f"--tz takes a zone such as Asia/Kolkata, not {name!r}") from error


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"--date takes YYYY-MM-DD, not {text!r}") from error
