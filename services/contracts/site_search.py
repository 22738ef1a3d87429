"""The site's search: pages for use before pages about choices. A hook of mkdocs."""

from __future__ import annotations

from typing import Any, Final

DECISIONS: Final = "decisions/"
WEIGHT: Final = 0.2


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Weigh down the decisions: a reader searching for a word wants its command first."""
    if page.file.src_uri.startswith(DECISIONS):
        page.meta["search"] = {"boost": WEIGHT}
    return markdown
