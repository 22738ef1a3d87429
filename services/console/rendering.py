"""HTML from templates."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from fastapi import Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.console import wording
from services.console.api_client import ApiFault
from services.console.sessions import Session, SessionCookies
from services.console.static_files import static_url
from shared.clock import Clock
from shared.runtime.catalogue import CONSOLE

log = logging.getLogger(__name__)
TEMPLATES = Path(__file__).parent / "templates"
Part = Literal["whole", "first", "rest"]
"""Part of a page: all, the head without values of an API, or the rest."""

AnyResponse = TypeVar("AnyResponse", bound=Response)


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

    def text(self, template: str, **values: Any) -> Markup:
        """Return a template's HTML, which another template may include as it is."""
        return Markup(self._environment.get_template(template).render(now=self._clock.now(), **values))  # noqa: S704

    def page(
        self, request: Request, session: Session, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Return a whole page; a notice of the session is shown once."""
        html = self._part("whole", request, session, template, values)
        return self._with_notice_shown(HTMLResponse(html, status_code=status), session)

    async def arriving(
        self,
        request: Request,
        session: Session,
        template: str,
        ask: Callable[[], Awaitable[Mapping[str, Any]]],
        **known: Any,
    ) -> Response:
        """Return a page whose first part is sent before the APIs are asked for the values of its rest.

        A request by htmx gets the page whole, because it shows a part alone.
        """
        if "hx-request" in request.headers:
            return self.page(request, session, template, **known, **await ask())

        async def parts() -> AsyncIterator[str]:
            yield self._part("first", request, session, template, known)
            try:
                rest = self._part("rest", request, session, template, {**known, **await ask()})
            except Exception as error:  # noqa: BLE001  # too late for another status
                rest = self._part("rest", request, session, "late_fault.html", {"fault": _told(error, request)})
            yield rest

        return self._with_notice_shown(StreamingResponse(parts(), media_type=HTMLResponse.media_type), session)

    def _part(self, part: Part, request: Request, session: Session, template: str, values: Mapping[str, Any]) -> Markup:
        return self.text(template, part=part, session=session, path=request.url.path, **values)

    def _with_notice_shown(self, response: AnyResponse, session: Session) -> AnyResponse:
        if session.notice:
            self._cookies.write(response, session.with_notice(""))
        return response


def _told(error: Exception, request: Request) -> ApiFault:
    """Return what a page says about an error; one that is no fault of an API is logged."""
    if isinstance(error, ApiFault):
        return error
    log.error("%s failed after its first part", request.url.path, exc_info=error)
    return ApiFault(CONSOLE.name, None, "The rest of this page failed.", "The log of the console says why.")
