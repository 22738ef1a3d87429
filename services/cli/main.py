"""The `exitflow` command."""

from __future__ import annotations

import sys
from typing import NoReturn

from confluent_kafka import KafkaException
from sqlalchemy.exc import OperationalError

from services.cli.commands import check as check_command
from services.cli.commands import demo as demo_command
from services.cli.commands import exits as exits_commands
from services.cli.commands import forward as forward_command
from services.cli.commands import gaps as gaps_commands
from services.cli.commands import health as health_command
from services.cli.commands import migrate as migrate_commands
from services.cli.commands import outbox as outbox_commands
from services.cli.commands import provision as provision_command
from services.cli.commands import run as run_command
from services.cli.commands import secrets as secrets_commands
from services.cli.commands import stack as stack_commands
from services.cli.commands import ticks as ticks_commands
from services.cli.commands import tokens as tokens_commands
from services.cli.commands import topics as topics_commands
from services.cli.commands import trades as trades_commands
from services.cli.support.command_line import new_app
from shared.errors import ConfigurationError, ExitflowError, Unavailable, first_line

CONFIGURATION_STATUS = 2
FAILURE_STATUS = 1
INTERRUPTED_STATUS = 130

app = new_app("Exits of open trades, made as safe as entries.")
stack_commands.add_to(app)
run_command.add_to(app)
demo_command.add_to(app)
check_command.add_to(app)
health_command.add_to(app)
forward_command.add_to(app)
provision_command.add_to(app)
app.add_typer(migrate_commands.app, name="migrate")
app.add_typer(topics_commands.app, name="topics")
app.add_typer(tokens_commands.app, name="tokens")
app.add_typer(secrets_commands.app, name="secrets")
app.add_typer(trades_commands.app, name="trades")
app.add_typer(exits_commands.app, name="exits")
app.add_typer(ticks_commands.app, name="ticks")
app.add_typer(outbox_commands.app, name="outbox")
app.add_typer(gaps_commands.app, name="gaps")


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
