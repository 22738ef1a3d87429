"""`exitflow secrets key`: a private key for a writer, the public one for its readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shared.outbox.signatures import TrustedKeys, signer_of
from tests.unit.cli.results import Result


def test_new_key_is_private_and_readers_gain_its_public_key(tmp_path: Path, exitflow: Callable[..., Result]) -> None:
    public = tmp_path / "exit.pub"
    ids = set()
    for name in ("old", "new"):
        private = tmp_path / f"{name}.key"
        assert exitflow("secrets", "key", "--private", str(private), "--public", str(public)).status == 0
        assert private.stat().st_mode & 0o777 == 0o600
        ids.add(signer_of(private.read_text(), name).key_id)
    assert set(TrustedKeys.of(public.read_text(), "test").keys) == ids


def test_a_key_is_never_overwritten(tmp_path: Path, exitflow: Callable[..., Result]) -> None:
    private = tmp_path / "exit.key"
    private.write_text("kept")
    result = exitflow("secrets", "key", "--private", str(private), "--public", str(tmp_path / "exit.pub"))
    assert result.status != 0
    assert private.read_text() == "kept"
