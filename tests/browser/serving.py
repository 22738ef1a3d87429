"""A console on a port of its own, in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from deploy.local.processes.ports import free_port
from tests.support.waiting import LIMIT_S, wait_until


@contextmanager
def served(app: FastAPI, key: str) -> Iterator[str]:
    """Serve the application while inside; its root URL. `key` tells its port from those of others."""
    port = free_port(key)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
    app.state.is_stopping = lambda: server.should_exit
    thread = threading.Thread(target=server.run, name="console")
    thread.start()
    try:
        wait_until(lambda: server.started, "the console serves")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)
