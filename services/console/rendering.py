"""HTML from templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.console import wording
from services.console.sessions import Session, SessionCookies
from services.console.static_files import static_url
from shared.clock import Clock

TEMPLATES = Path(__file__).parent / "templates"


class _Environment(Environment):
    """Jinja2 with look-ups in the APIs' documents first; their attributes would hide fields such as `items`."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field of a document, or else Jinja2's find."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class Pages:
    """Render the console's templates; every value is escaped.

    Parameters
    ----------
    cookies:
        Where a notice is removed from once it was shown.
    clock:
        Time of the page, for counting ages.
    """

    def __init__(self, cookies: SessionCookies, clock: Clock) -> None:
        self._cookies = cookies
        self._clock = clock
        self._environment = _Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static_url"] = static_url
        self._environment.filters.update(wording.FILTERS)

    def text(self, template: str, **values: Any) -> str:
        """Return a template's HTML."""
        return self._environment.get_template(template).render(now=self._clock.now(), **values)

    def page(
        self, request: Request, session: Session, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Return a whole page; a notice of the session is shown once."""
        html = self.text(template, session=session, path=request.url.path, **values)
        response = HTMLResponse(html, status_code=status)
        if session.notice:
            self._cookies.write(response, session.with_notice(""))
        return response
