"""`llms.txt` of the site: every page once, with a title and a summary."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from services.contracts.llms import SitePage, llms_full_txt, llms_txt, on_post_build, site_pages
from tests.unit.deploy.test_alerts import REPOSITORY

DOCS = REPOSITORY / "docs"
# The rest of mkdocs.yml has tags of mkdocs.
NAV: list[Any] = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text().partition("\nnav:\n")[2])
PAGES = site_pages(NAV, DOCS)


def test_site_lists_every_page_once_under_its_section() -> None:
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", llms_txt(PAGES), re.MULTILINE)
    assert sorted(listed) == sorted({page.path for page in PAGES})
    assert all((DOCS / path).is_file() for path in listed)
    sections = re.findall(r"^## (.+)$", llms_txt(PAGES), re.MULTILINE)
    assert sections[:3] == ["Start", "Tutorial", "How-to"]


def test_most_pages_state_their_subject_in_one_plain_line() -> None:
    described = [page.description for page in PAGES if page.description]
    assert len(described) >= 0.9 * len(PAGES)
    assert [each for each in described if "\n" in each or "](" in each or each.startswith(("|", "<!--", "#"))] == []


@pytest.mark.parametrize(
    ("text", "title", "description"),
    [
        ("# A\nFirst, see [that](b.md). Second.\n", "A", "First, see that."),
        ("# A\n<!-- Written by code. -->\n\nIt is\nlong. More.\n", "A", "It is long."),
        ("# A\n\n| a | b |\n| --- | --- |\n\nAfter a table:\n- x\n", "A", "After a table: - x"),
        ("# A\n## B\n- only\n- a list\n", "A", ""),
        ("# A\n![picture](x.png)\n\n**Bold** words.", "A", "Bold words."),
    ],
)
def test_the_description_is_the_first_sentence(text: str, title: str, description: str) -> None:
    page = SitePage("", "a.md", text)
    assert (page.title, page.description) == (title, description)


def test_site_has_both_llms_files_and_each_page_text(tmp_path: Any) -> None:
    for page in PAGES:
        (tmp_path / page.path).parent.mkdir(parents=True, exist_ok=True)  # as mkdocs has made them
    on_post_build(SimpleNamespace(docs_dir=str(DOCS), site_dir=str(tmp_path), nav=NAV))
    full = (tmp_path / "llms-full.txt").read_text()
    assert (tmp_path / "llms.txt").read_text() == llms_txt(PAGES)
    assert full == llms_full_txt(PAGES)
    assert all(page.text.strip() in full and (tmp_path / page.path).read_text() == page.text for page in PAGES)
