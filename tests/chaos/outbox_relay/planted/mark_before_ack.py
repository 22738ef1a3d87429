"""Bug: events count as published once they are handed to the client, before Kafka has acknowledged them."""

from __future__ import annotations

from typing import Any

from services.outbox_relay.process import PROCESS
from services.outbox_relay.shards.acknowledgements import Run
from shared.runtime.failpoints import arm_from_environment
from shared.settings import load_settings

_consists_of = Run.consists_of


def consists_of_acknowledged(run: Run, *consists_of: Any) -> None:
    """In place of `Run.consists_of`: nothing is left to be acknowledged."""
    _consists_of(run, *consists_of)
    run.left = 0


def ignore_report(run: Run, *report: Any) -> None:
    """In place of `Run.reported`."""


if __name__ == "__main__":
    assert callable(Run.reported), "there is nothing to replace: this plant has grown old"
    Run.consists_of = consists_of_acknowledged  # type: ignore[method-assign, assignment]  # the bug
    Run.reported = ignore_report  # type: ignore[method-assign, assignment]  # the bug
    arm_from_environment()
    PROCESS.main(load_settings())
