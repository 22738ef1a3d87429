"""`exitflow instruments`: load, show, status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.support.api_client import ApiClient, Json
from services.cli.support.apis import exit_api
from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.output import note, show_facts, show_json, show_table
from shared.clock import SystemClock
from shared.contracts.instruments import MOST_INSTRUMENTS, Instrument, read_instruments_csv
from shared.errors import InvalidInput, Unavailable, unreadable
from shared.wording import plural

app = new_app("Load and show instruments: tick size, lot, freeze quantity, expiry.")

_COLUMNS = ("source", "loaded_at", "instruments", "skipped", "error")
WAIT_S: Final = 120.0
LOOK_S: Final = 0.5


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `instruments` to a panel of the help."""
    root.add_typer(app, name="instruments", rich_help_panel=panel)


@app.command("load", epilog=examples("instruments load freeze.csv", "instruments load --from-broker"))
def load(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with the columns of Kite's instruments file; only exchange and tradingsymbol must be there. "
            "A further column freeze_quantity is read too."
        ),
    ] = None,
    from_broker: Annotated[
        bool, typer.Option("--from-broker", help="Let exit-orders load the files of the brokers, and wait for it.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; audited.")] = "loaded from the command line",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Load instruments from a file or from the brokers. Fields left out of a file keep their stored values."""
    if (file is None) is not from_broker:
        raise typer.BadParameter("give either a FILE or --from-broker")
    with exit_api(data_dir) as api:
        loads = _from_brokers(api, reason) if file is None else _from_file(api, file, reason)
    _show(loads, as_json)


@app.command("show", epilog=examples("instruments show NSE:INFY"))
def show(
    symbol: Annotated[str, typer.Argument(help="EXCHANGE:SYMBOL.")], data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show one instrument."""
    with exit_api(data_dir) as api:
        instrument = api.get("/instruments", symbol=symbol)
    show_json(instrument) if as_json else show_facts(instrument.items())


@app.command("status", epilog=examples("instruments status"))
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show when instruments were loaded last."""
    with exit_api(data_dir) as api:
        _show(api.get("/instruments/loads"), as_json)


def _from_file(api: ApiClient, file: Path, reason: str) -> Json:
    skipped: list[str] = []
    instruments, answer, total = _read(file, skipped), None, 0
    while chunk := list(islice(instruments, MOST_INSTRUMENTS)):
        rows = [each.model_dump(mode="json", exclude_none=True) for each in chunk]
        answer = api.put("/instruments", {"instruments": rows, "reason": reason})
        total += len(chunk)
    if skipped:
        note(f"skipped {plural(len(skipped), 'line')} without a valid instrument, the first: {skipped[0]}")
    if answer is None:
        raise InvalidInput(f"{file}: no instrument in it")
    note(f"loaded {plural(total, 'instrument')}")
    return answer


def _read(file: Path, skipped: list[str]) -> Iterator[Instrument]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for line, found in read_instruments_csv(lines):
                if isinstance(found, Instrument):
                    yield found
                else:
                    skipped.append(f"line {line}: {found}")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error) from error
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error}") from error


def _from_brokers(api: ApiClient, reason: str) -> Json:
    asked = api.put("/instruments/refresh", {"reason": reason})
    brokers = {load["source"]: load["requested_at"] for load in asked["items"] if load["requested_at"]}
    clock = SystemClock()
    ends_at = clock.monotonic() + WAIT_S
    while clock.monotonic() < ends_at:
        loads = api.get("/instruments/loads")
        done = {load["source"]: load for load in loads["items"]}
        if all(done[broker]["error"] or (done[broker]["loaded_at"] or "") > at for broker, at in brokers.items()):
            return loads
        time.sleep(LOOK_S)
    raise Unavailable(f"exit-orders did not load the instruments within {WAIT_S:.0f} s; is it running?")


def _show(loads: Json, as_json: bool) -> None:
    if as_json:
        show_json(loads)
    else:
        show_table(_COLUMNS, ([load[column] for column in _COLUMNS] for load in loads["items"]))
