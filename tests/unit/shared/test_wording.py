"""Words around numbers."""

from __future__ import annotations

import pytest

from shared.wording import listed, plural


@pytest.mark.parametrize(("count", "words"), [(0, "0 events"), (1, "1 event"), (1400, "1,400 events")])
def test_a_noun_follows_its_number(count: int, words: str) -> None:
    assert plural(count, "event") == words


@pytest.mark.parametrize(
    ("names", "words"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")]
)
def test_a_list_names_a_few_and_counts_the_others(names: list[str], words: str) -> None:
    assert listed(names, 2) == words
