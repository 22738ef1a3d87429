"""The committed pages of docs/reference agree with the code."""

from __future__ import annotations

import pytest

from services.contracts.reference import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run `make contracts`"


def test_no_other_page_is_left_lying() -> None:
    assert {file.name for file in REFERENCE.iterdir()} == set(PAGES)
