"""Settings are typed and documented, and unknown ones are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def test_an_unknown_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_COOLDOWN", "5")
    with pytest.raises(ConfigurationError, match="unknown settings: EXITFLOW_COOLDOWN"):
        load_settings()


def test_invalid_value_error_names_setting_and_hides_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_RELAY_LEASE_S", "s3cret")
    with pytest.raises(ConfigurationError, match="EXITFLOW_RELAY_LEASE_S") as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


def test_a_missing_database_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="EXITFLOW_EXIT_DATABASE_URL is not set"):
        Settings().require_exit_database()


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "exitflow_exit_database_url").write_text("postgresql://u:p@127.0.0.1/x\n")
    monkeypatch.setenv("EXITFLOW_SECRETS_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.require_exit_database() == "postgresql://u:p@127.0.0.1/x"
    assert "u:p" not in repr(settings)


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
