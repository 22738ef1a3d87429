"""Processes as the image has them: the source tree beside the packages, without a record of an installed exitflow."""

from __future__ import annotations

import re
import socket
from importlib.metadata import version
from pathlib import Path

import pytest

from shared.runtime.catalogue import PROCESSES
from shared.version import VERSION
from tests.support.product_process import ProductProcess, run

REPOSITORY = Path(__file__).resolve().parents[3]
NOT_INSTALLED = """
from importlib.metadata import Distribution, PackageNotFoundError
from_name = Distribution.from_name
def refuse(name):
    if name == 'exitflow':
        raise PackageNotFoundError(name)
    return from_name(name)
Distribution.from_name = refuse
"""
REFUSAL = r"^exitflow: (EXITFLOW_\w+ is not set|cannot listen)"
LIMIT_S = 60


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_cannot_work_says_why(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"EXITFLOW_HTTP_PORT": str(taken.getsockname()[1])}
        process = ProductProcess(NOT_INSTALLED + run("run", name), settings, tmp_path / "log")
        assert process.wait(LIMIT_S) == 2, (tmp_path / "log").read_text()
    assert re.search(
        r"^exitflow: (EXITFLOW_\w+ is not set|cannot listen)", (tmp_path / "log").read_text(), re.MULTILINE
    )


def test_the_version_is_the_same_everywhere() -> None:
    assert version("exitflow") == VERSION
    assert f"ARG VERSION={VERSION}\n" in (REPOSITORY / "deploy/image/Dockerfile").read_text()
    assert f"exitflow:${{IMAGE_TAG:-{VERSION}}}" in (REPOSITORY / "docker-compose.yml").read_text()
