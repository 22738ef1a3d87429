"""The `exitflow` command."""

from __future__ import annotations

import sys
from typing import NoReturn

from confluent_kafka import KafkaException
from sqlalchemy.exc import OperationalError

from services.cli.commands import (
    check,
    demo,
    exits,
    forward,
    gaps,
    health,
    migrate,
    outbox,
    provision,
    run,
    secrets,
    settings,
    stack,
    ticks,
    tokens,
    topics,
    trades,
)
from services.cli.support.command_line import Panel, PanelGroup, new_app, show_version
from shared.errors import ConfigurationError, ExitflowError, Unavailable, first_line

CONFIGURATION_STATUS = 2
FAILURE_STATUS = 1
INTERRUPTED_STATUS = 130

PANELS = {
    Panel.TRADE: (demo, trades, exits, ticks),
    Panel.OPERATE: (stack, check, health, settings, outbox, gaps),
    Panel.INSTALL: (provision, migrate, topics, tokens, secrets),
    Panel.INTERNAL: (run, forward),
}
"""Every module of commands by the panel of `exitflow --help` that shows it; each has ``add_to(root, panel)``."""

app = new_app("Exit open trades through PostgreSQL and Kafka.", cls=PanelGroup)
app.callback()(show_version)
for _panel, _modules in PANELS.items():
    for _module in _modules:
        _module.add_to(app, _panel)


def main() -> None:
    """Run the command line; an error of ours is one line on standard error.

    The exit status is 0 for success, 1 for failure, 2 for wrong usage or settings.
    """
    try:
        app(prog_name="exitflow")
    except ConfigurationError as error:
        _fail(error, CONFIGURATION_STATUS)
    except ExitflowError as error:
        _fail(error, FAILURE_STATUS)
    except OperationalError as error:
        _fail(Unavailable(f"PostgreSQL does not answer: {first_line(error.orig or error)}"), FAILURE_STATUS)
    except KafkaException as error:
        _fail(Unavailable(f"Kafka does not answer: {error.args[0].str()}"), FAILURE_STATUS)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)


def _fail(error: ExitflowError, status: int) -> NoReturn:
    print(f"exitflow: {error}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
