"""``stack.json``: addresses of a running stack, for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.local.processes.service_environment import Wiring
from deploy.local.secrets.private_files import write_private
from shared.errors import ConfigurationError, NotFound
from shared.postgres import roles
from shared.runtime.catalogue import CONSOLE, EXIT_API, PAPER_BROKER, PROCESSES, TRADE_API


def write_stack(file: Path, wiring: Wiring, processes: dict[str, int]) -> None:
    """Replace it (mode 600: it holds secrets); `processes` are process ids by name.

    `metrics` has the Prometheus page of each service; those of the two APIs need the token. The event keys are public
    ones, for verifying events.
    """
    databases = wiring.databases
    stack = {
        "exit_api": wiring.url(EXIT_API.name),
        "trade_api": wiring.url(TRADE_API.name),
        "paper_broker": wiring.url(PAPER_BROKER.name),
        "console": wiring.url(CONSOLE.name),
        "kafka_bootstrap_servers": wiring.bootstrap_servers,
        "exit_database_url": databases.exit_url(roles.EXIT),
        "trade_database_url": databases.trade_url(roles.TRADE),
        "admin_database_url": databases.exit_admin_url,
        "token": wiring.credentials.operator_token,
        "exit_event_keys": wiring.credentials.exit_event_keys(),
        "trade_event_keys": wiring.credentials.trade_event_keys(),
        "processes": processes,
        "metrics": {name: f"{wiring.url(name)}/metrics" for name in processes if name in PROCESSES},
    }
    write_private(file, json.dumps(stack, indent=2) + "\n")


def read_stack_file(file: Path) -> dict[str, Any]:
    """Return its content.

    Raises
    ------
    NotFound
        There is none: no stack is ready here.
    ConfigurationError
        It is damaged.
    """
    try:
        stack = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"no stack is running in {file.parent}; `exitflow up` starts one") from None
    except ValueError:
        stack = None
    if not isinstance(stack, dict):
        raise ConfigurationError(f"{file} is damaged; `exitflow down` and `exitflow up` write it again")
    return stack
