"""The `exitflow` command."""

from __future__ import annotations

import sys
from typing import NoReturn

from services.cli.support.command_line import Panel, new_app, show_version
from services.cli.support.lazy_commands import lazy_group
from shared.errors import ConfigurationError, ExitflowError, Unavailable, first_line

CONFIGURATION_STATUS = 2
FAILURE_STATUS = 1
INTERRUPTED_STATUS = 130

_IN = "services.cli.commands"
COMMANDS = {
    Panel.TRADE: {
        "demo": f"{_IN}.demo",
        "trades": f"{_IN}.trades",
        "pnl": f"{_IN}.pnl",
        "charges": f"{_IN}.charges",
        "corporate-actions": f"{_IN}.corporate_actions",
        "exits": f"{_IN}.exits",
        "accounts": f"{_IN}.accounts",
        "ticks": f"{_IN}.ticks",
        "replay": f"{_IN}.replay",
        "calendar": f"{_IN}.calendar",
        "instruments": f"{_IN}.instruments",
    },
    Panel.OPERATE: {
        "up": f"{_IN}.stack",
        "down": f"{_IN}.stack",
        "status": f"{_IN}.stack",
        "top": f"{_IN}.top",
        "doctor": f"{_IN}.doctor",
        "check": f"{_IN}.check",
        "health": f"{_IN}.health",
        "settings": f"{_IN}.settings",
        "audit": f"{_IN}.audit",
        "outbox": f"{_IN}.outbox",
        "gaps": f"{_IN}.gaps",
        "faults": f"{_IN}.faults",
    },
    Panel.INSTALL: {
        "provision": f"{_IN}.provision",
        "migrate": f"{_IN}.migrate",
        "topics": f"{_IN}.topics",
        "tokens": f"{_IN}.tokens",
        "secrets": f"{_IN}.secrets",
    },
    Panel.INTERNAL: {"run": f"{_IN}.run", "forward": f"{_IN}.forward"},
}
"""The module of every command and group, by its panel in `exitflow --help`."""

app = new_app("Exit open trades through PostgreSQL and Kafka.", cls=lazy_group(COMMANDS), completion=True)
app.callback()(show_version)


def main() -> None:
    """Run the command line; an error of ours is one line on standard error.

    The exit status is 0 for success, 1 for failure, 2 for wrong usage or settings, 130 for Ctrl-C.
    """
    try:
        app(prog_name="exitflow")
    except ConfigurationError as error:
        _fail(error, CONFIGURATION_STATUS)
    except ExitflowError as error:
        _fail(error, FAILURE_STATUS)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)
    except Exception as error:
        unavailable = _unavailable(error)
        if unavailable is None:
            raise
        _fail(unavailable, FAILURE_STATUS)


def _unavailable(error: Exception) -> Unavailable | None:
    """Return the error of a server without an answer; None for any other."""
    # Imported here: a command without servers starts without their clients.
    from confluent_kafka import KafkaException
    from sqlalchemy.exc import OperationalError

    match error:
        case OperationalError():
            return Unavailable(f"PostgreSQL does not answer: {first_line(error.orig or error)}")
        case KafkaException():
            return Unavailable(f"Kafka does not answer: {error.args[0].str()}")
        case _:
            return None


def _fail(error: ExitflowError, status: int) -> NoReturn:
    print(f"exitflow: {error}{_next_step(error)}", file=sys.stderr)
    sys.exit(status)


def _next_step(error: ExitflowError) -> str:
    """Return advice for a server without an answer, unless the error has it."""
    is_told = "`exitflow " in str(error)
    return "; `exitflow doctor` finds out why" if isinstance(error, Unavailable) and not is_told else ""


if __name__ == "__main__":
    main()
