"""A malformed database URL ends a process at once, and no part of it is shown."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from services.cli.main import main
from services.cli.support import database_urls
from services.outbox_relay.process import outboxes_of
from shared.errors import ConfigurationError
from shared.settings import Settings, load_settings

MALFORMED = [
    pytest.param("postgresql+psycopg://exitflow_relay:s3cret@db/exitflow", id="a scheme of SQLAlchemy"),
    pytest.param("mysql://exitflow_relay:s3cret@db/exitflow", id="another database"),
    pytest.param("s3cret", id="no URL"),
    pytest.param("host=db password=s3cret", id="no URL but a conninfo"),
    pytest.param("postgresql://exitflow_relay:s3cret%@db/exitflow", id="a bare % in the password"),
    pytest.param("postgresql://exitflow_relay:a@s3cret@db/exitflow", id="a bare @ in the password"),
    pytest.param("postgresql://exitflow_relay:s3cret/b@db/exitflow", id="a bare / in the password"),
    pytest.param("postgresql://exitflow_relay:5432/s3cret@db/exitflow", id="a bare / after digits"),
    pytest.param("postgresql://exitflow_relay:p@db:s3cret/exitflow", id="a port that is no number"),
    pytest.param("postgresql://exitflow_relay:p@db/exitflow?s3cret=1", id="an unknown parameter"),
]

USES: list[Callable[[Settings], object]] = [
    Settings.require_exit_database,
    Settings.require_trade_database,
    Settings.admin_database,
    outboxes_of,
    database_urls.administered_urls,
    lambda settings: database_urls.migrator_url(settings, "exit_qualification"),
]


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_database_url_is_refused_by_name_without_its_value(url: str) -> None:
    settings = Settings(
        exit_database_url=SecretStr(url), trade_database_url=SecretStr(url), admin_database_url=SecretStr(url)
    )
    for use in USES:
        with pytest.raises(ConfigurationError, match=r"EXITFLOW_[A-Z]+_DATABASE_URL is not a URL") as caught:
            use(settings)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


COMMANDS = [
    ["run", "relay"],
    ["run", "exit-api"],
    ["run", "exit-ticks"],
    ["run", "exit-orders"],
    ["run", "trade-api"],
    ["run", "trade-fills"],
    ["migrate", "up"],
    ["migrate", "status"],
    ["migrate", "roles"],
    ["outbox", "partitions"],
    ["outbox", "rebase", "--dry-run"],
]


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("url", MALFORMED[4:5] + MALFORMED[:1])
def test_no_command_shows_a_malformed_database_url(
    command: list[str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("EXIT", "TRADE", "ADMIN"):
        monkeypatch.setenv(f"EXITFLOW_{name}_DATABASE_URL", url)
    for role in ("EXIT", "TRADE", "RELAY", "MIGRATOR"):
        monkeypatch.setenv(f"EXITFLOW_{role}_ROLE_PASSWORD", "p")
    monkeypatch.setattr("sys.argv", ["exitflow", *command])
    with pytest.raises(SystemExit):
        main()
    shown = "".join(capsys.readouterr()) + caplog.text
    assert "s3cret" not in shown
    assert "DATABASE_URL is not a URL of PostgreSQL" in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://exit",
        "postgresql:///exitflow?host=/run/postgresql",
        "postgres://u:p%40%25%2F@127.0.0.1:5432/exitflow?sslmode=require",
        "postgresql://u:p%25@[::1]:5432/exitflow",
    ],
)
def test_urls_of_postgresql_are_taken_as_they_stand(url: str) -> None:
    assert Settings(exit_database_url=SecretStr(url)).require_exit_database() == url
