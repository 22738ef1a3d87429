"""Process ``console``: the operators' web pages."""

from __future__ import annotations

from fastapi import FastAPI

from services.console.app import create
from shared.runtime.catalogue import CONSOLE
from shared.runtime.process import ProcessSpec, RunningProcess


def build(process: RunningProcess) -> FastAPI:
    """Return the pages; the process is ready as soon as it answers.

    While an API is down its pages say so, and the others work.
    """
    return create(process.settings, process.health, process.clock)


PROCESS = ProcessSpec(CONSOLE, build)
