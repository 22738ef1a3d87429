"""`llms.txt` and `llms-full.txt` of the site: its pages for language models. A hook of mkdocs writes them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUMMARY = "Exits of open trades, made as safe as entries: PostgreSQL rows first, Kafka events second."
DETAILS = (
    "Ticks arrive in Kafka, rules decide exits, orders go to a broker, trades are closed with their P&L. Consumers get "
    "events at least once, in order for each key and without gaps. Links lead to the Markdown of each page; "
    "llms-full.txt has all of them in one file. `exitflow run mcp` serves a running system's state as tools."
)
_NOT_PROSE = ("![", "|", "```", "- ", "1. ", "!!!")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SENTENCE_END = re.compile(r"(?<=\.)\s")


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page of the navigation; `section` is the first level of it, empty for the first page."""

    section: str
    path: str
    text: str

    @property
    def title(self) -> str:
        """Return the page's first heading."""
        return next(line[2:].strip() for line in self.text.splitlines() if line.startswith("# "))

    @property
    def description(self) -> str:
        """Return the first sentence of the first paragraph, without links; empty without prose."""
        paragraphs = re.split(r"\n\s*\n|(?<=\n)(?=[#|])", self.text.partition("\n")[2])
        lines = (
            [line for line in each.strip().splitlines() if not line.startswith(("<!--", "#"))] for each in paragraphs
        )
        prose = next((each for each in lines if each and not each[0].startswith(_NOT_PROSE)), [])
        return _SENTENCE_END.split(_LINK.sub(r"\1", " ".join(prose)))[0].replace("**", "").rstrip(":")


def site_pages(nav: Sequence[Any], docs: Path) -> list[SitePage]:
    """Return the pages of a navigation in its order."""
    return [SitePage(section, path, (docs / path).read_text()) for section, path in _paths(nav, "")]


def _paths(nav: Sequence[Any], section: str) -> Iterator[tuple[str, str]]:
    for entry in nav:
        if isinstance(entry, str):
            yield section, entry
            continue
        for title, below in entry.items():
            if isinstance(below, str):
                yield section, below
            else:
                yield from _paths(below, section or title)


def llms_txt(pages: Sequence[SitePage]) -> str:
    """Return the index: one line a page, under the sections of the navigation."""
    blocks = [f"# exitflow\n\n> {SUMMARY}\n\n{DETAILS}"]
    for section in dict.fromkeys(page.section for page in pages):
        lines = [
            f"- [{page.title}]({page.path})" + (f": {page.description}" if page.description else "")
            for page in pages
            if page.section == section
        ]
        blocks.append(f"## {section or 'Start'}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def llms_full_txt(pages: Sequence[SitePage]) -> str:
    """Return the text of every page, each after its path."""
    return "\n\n".join(f"<!-- {page.path} -->\n{page.text.strip()}" for page in pages) + "\n"


def on_post_build(config: Any) -> None:
    """Write both files into the site, and the Markdown of each page beside its HTML."""
    docs, site = Path(config.docs_dir), Path(config.site_dir)
    pages = site_pages(config.nav, docs)
    (site / "llms.txt").write_text(llms_txt(pages))
    (site / "llms-full.txt").write_text(llms_full_txt(pages))
    for page in pages:
        shutil.copyfile(docs / page.path, site / page.path)
