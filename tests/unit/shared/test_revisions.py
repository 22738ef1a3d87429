"""Revisions by the names of their files are those of Alembic."""

from __future__ import annotations

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from shared.postgres.revisions import HISTORIES, SCRIPTS, head_revision, is_newer, revisions


@pytest.mark.parametrize("history", HISTORIES)
def test_files_name_revisions_in_history_order(history: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)  # revisions import the package `frozen`
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("version_locations", str(SCRIPTS / history))
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory.from_config(config)
    assert revisions(history) == tuple(script.revision for script in scripts.walk_revisions())[::-1]
    assert head_revision(history) == scripts.get_current_head()


@pytest.mark.parametrize("history", HISTORIES)
def test_only_a_revision_after_the_last_one_is_newer(history: str) -> None:
    assert not any(is_newer(history, revision) for revision in revisions(history))
    assert is_newer(history, "V999")
