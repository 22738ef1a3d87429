"""Operators' sessions: an encrypted cookie with the token; the console stores nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field, replace

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Request, Response

from shared.clock import Clock
from shared.errors import ConfigurationError, Forbidden
from shared.http.auth import Scope
from shared.ids import new_secret
from shared.settings import PREFIX, Settings

PLAIN_COOKIE = "exitflow_console"
HTTPS_COOKIE = "__Host-exitflow_console"
"""Browsers accept this prefix only with Secure, without a domain and for path /."""

LONGEST_COOKIE = 4000
SHORTEST_KEY = 32


@dataclass(frozen=True)
class Session:
    """The cookie's content for one browser.

    Attributes
    ----------
    csrf:
        Every form must send it back.
    token:
        The operator's API token; empty before the sign-in.
    name, scopes:
        As the API knows the token.
    notice:
        One sentence to show on the next page.
    since:
        Time of the sign-in, in seconds since 1970.
    """

    csrf: str
    token: str = field(default="", repr=False)
    name: str = ""
    scopes: tuple[str, ...] = ()
    notice: str = ""
    since: int = 0

    @property
    def signed_in(self) -> bool:
        """Return True after the sign-in."""
        return bool(self.token)

    @property
    def may_operate(self) -> bool:
        """Return True if the pages offer changes; the API decides about each request all the same."""
        return Scope.OPERATE in self.scopes

    def with_notice(self, notice: str) -> Session:
        """Return the session with a sentence for the next page."""
        return replace(self, notice=notice)


def new_session() -> Session:
    """Return the session of a browser not signed in yet."""
    return Session(csrf=new_secret())


class SessionCookies:
    """Seal sessions into cookies and open them again."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        key = settings.console_session_key
        secret = new_secret() if key is None else key.get_secret_value()
        if len(secret) < SHORTEST_KEY:
            raise ConfigurationError(f"{PREFIX}CONSOLE_SESSION_KEY needs at least {SHORTEST_KEY} characters")
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))
        self._lifetime_s = int(settings.console_session_hours * 3600)
        self._https = settings.console_https
        self._clock = clock
        self.name = HTTPS_COOKIE if self._https else PLAIN_COOKIE

    def read(self, request: Request) -> Session | None:
        """Return the session of a request; None if it has none, or an expired or foreign one."""
        sealed = request.cookies.get(self.name, "")
        if not sealed or len(sealed) > LONGEST_COOKIE:
            return None
        try:
            opened = self._fernet.decrypt_at_time(sealed.encode(), self._lifetime_s, self._now())
        except (InvalidToken, UnicodeEncodeError):
            return None
        values = json.loads(opened)
        session = Session(**{**values, "scopes": tuple(values["scopes"])})
        return session if self._is_current(session) else None

    def sign_in(self, session: Session, token: str, name: str, scopes: list[str]) -> Session:
        """Return a new session of the operator; form secrets of before the sign-in are void."""
        return replace(session, csrf=new_secret(), token=token, name=name, scopes=tuple(scopes), since=self._now())

    def write(self, response: Response, session: Session) -> None:
        """Set the cookie; the session ends when it did before."""
        sealed = self._fernet.encrypt_at_time(json.dumps(asdict(session)).encode(), self._now()).decode()
        response.set_cookie(
            self.name, sealed, max_age=self._lifetime_s, path="/", secure=self._https, httponly=True, samesite="strict"
        )

    def clear(self, response: Response) -> None:
        """Remove the cookie."""
        response.delete_cookie(self.name, path="/", secure=self._https, httponly=True, samesite="strict")

    def _is_current(self, session: Session) -> bool:
        return not session.signed_in or self._now() < session.since + self._lifetime_s

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def check_csrf(request: Request, session: Session, sent: str) -> None:
    """Reject a form that another site could have sent.

    Raises
    ------
    Forbidden
        The form lacks the session's secret, or the browser names another site as its sender.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") or not hmac.compare_digest(session.csrf.encode(), sent.encode()):
        raise Forbidden("This form does not belong to your session. Open the page again and repeat the action.")
