"""The command line as its user sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.cli import main as command
from shared.settings import load_settings
from tests.unit.cli.results import Result


@pytest.fixture
def exitflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Result]]:
    """Runs `exitflow` with arguments and tells its exit status and output."""

    def run(*arguments: str) -> Result:
        load_settings.cache_clear()
        monkeypatch.setattr("sys.argv", ["exitflow", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
        printed = capsys.readouterr()
        return Result(int(ended.value.code or 0), printed.out, printed.err)

    yield run
    load_settings.cache_clear()
