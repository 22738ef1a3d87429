"""Sign-in, session cookie, CSRF and security headers."""

from __future__ import annotations

import re
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import SecretStr

from services.console.app import ROUTERS
from services.console.pages.login import own_path
from services.console.security_headers import CONTENT_SECURITY_POLICY, HEADERS
from services.console.sessions import HTTPS_COOKIE, PLAIN_COOKIE, SessionCookies, new_session
from shared.clock import SystemClock
from shared.errors import ConfigurationError
from shared.ids import new_id
from tests.unit.console.conftest import SETTINGS, Browser
from tests.unit.console.fake_apis import FakeApis, page


def test_every_page_needs_session_and_login_leads_back(browser: Browser) -> None:
    answer = browser.get("/exits?symbol=NSE:TCS")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fexits%3Fsymbol%3DNSE%3ATCS"
    assert browser.sign_in("operator-token", "/exits?symbol=NSE:TCS").headers["location"] == "/exits?symbol=NSE:TCS"


def test_token_unknown_to_api_signs_nobody_in(browser: Browser) -> None:
    answer = browser.sign_in("wrong")
    assert answer.status_code == 401
    assert "the token is unknown or has expired" in answer.text
    assert browser.get("/exits").status_code == 303


def test_trade_api_knows_the_token_while_exit_api_is_down(browser: Browser, apis: FakeApis) -> None:
    apis.down = {"exit"}
    assert browser.sign_in("operator-token").status_code == 303
    answer = browser.get("/exits")
    assert answer.status_code == 200
    assert "exit-api cannot be reached" in answer.text


def test_the_sign_in_says_so_when_no_api_answers(browser: Browser, apis: FakeApis) -> None:
    apis.down = {"exit", "trade"}
    answer = browser.sign_in("operator-token")
    assert answer.status_code == 401
    assert "cannot be reached" in answer.text


def test_cookie_excludes_scripts_and_other_sites_and_hides_token(browser: Browser) -> None:
    cookie = SimpleCookie(browser.sign_in("operator-token").headers["set-cookie"])[PLAIN_COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "strict" and cookie["path"] == "/"
    assert "operator-token" not in cookie.value


def test_https_cookie_is_secure_and_bound_to_host() -> None:
    response = Response()
    SessionCookies(SETTINGS.model_copy(update={"console_https": True}), SystemClock()).write(response, new_session())
    assert response.headers["set-cookie"].startswith(f"{HTTPS_COOKIE}=")
    assert "; Secure" in response.headers["set-cookie"]


class LaterClock(SystemClock):
    """A clock ahead by the longest session."""

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + timedelta(hours=SETTINGS.console_session_hours, seconds=5)


def _request(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


def test_a_session_ends_and_a_foreign_key_opens_none() -> None:
    cookies = SessionCookies(SETTINGS, SystemClock())
    response = Response()
    cookies.write(response, cookies.sign_in(new_session(), "t", "ops-desk", ["read"]))
    request = _request(response.headers["set-cookie"].split(";")[0])
    assert cookies.read(request) is not None
    assert SessionCookies(SETTINGS, LaterClock()).read(request) is None
    other = SETTINGS.model_copy(update={"console_session_key": SecretStr("z" * 40)})
    assert SessionCookies(other, SystemClock()).read(request) is None
    assert cookies.read(_request(f"{PLAIN_COOKIE}=gAAAA")) is None


def test_a_short_session_key_is_refused() -> None:
    settings = SETTINGS.model_copy(update={"console_session_key": SecretStr("short")})
    with pytest.raises(ConfigurationError, match="CONSOLE_SESSION_KEY needs at least 32"):
        SessionCookies(settings, SystemClock())


def test_a_session_whose_token_was_revoked_is_ended(operator: Browser, apis: FakeApis) -> None:
    apis.revoked = True
    html = operator.get("/exits").text
    assert "the token is unknown" in html and "url=/login/again?next=/exits" in html
    assert operator.get("/login/again?next=/exits").headers["location"].startswith("/login?next=")
    assert "no longer valid" in operator.get("/login").text
    assert operator.get("/exits").status_code == 303


def test_a_token_known_after_all_leads_back_to_the_page(operator: Browser) -> None:
    assert operator.get("/login/again?next=/book").headers["location"] == "/book"
    assert operator.get("/login/again?next=//elsewhere").headers["location"] == "/exits"


def test_htmx_is_led_to_sign_in_after_revocation(operator: Browser, apis: FakeApis) -> None:
    apis.revoked = True
    answer = operator.http.get("/exits", headers={"hx-request": "true"})
    assert answer.headers["hx-redirect"] == "/login"


POSTS = sorted(
    re.sub(r"\{(\w+)\}", lambda name: {"shard": "1", "side": "exit"}.get(name[1], str(new_id())), route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and "POST" in (route.methods or ())
)


def test_every_form_of_another_site_is_refused(operator: Browser, apis: FakeApis) -> None:
    assert {"/login", "/logout"} <= set(POSTS)
    for path in POSTS:
        fields = {"token": "operator-token", "csrf": "forged"}
        assert operator.http.post(path, data=fields).status_code == 403, path
        right = {"token": "operator-token", "csrf": operator.csrf()}
        cross = operator.http.post(path, data=right, headers={"Sec-Fetch-Site": "cross-site"})
        assert cross.status_code == 403, path
    assert [request.url.path for request in apis.asked if request.method != "GET"] == []


def test_no_form_of_a_reader_reaches_an_api(reader: Browser, apis: FakeApis) -> None:
    for path in sorted(set(POSTS) - {"/login", "/logout"}):
        answer = reader.send(path, reason="why")
        assert answer.status_code == 403, path
        assert "may only read" in answer.text
    assert [request.url.path for request in apis.asked if request.method != "GET"] == []


def test_signing_out_ends_the_session(operator: Browser) -> None:
    assert operator.send("/logout").headers["location"] == "/login"
    assert operator.get("/exits").status_code == 303


@pytest.mark.parametrize(
    "path", ["/login", "/exits", "/nothing", "/static/console.css", "/healthz", "/exits?view=wrong"]
)
def test_every_answer_has_the_security_headers(operator: Browser, apis: FakeApis, path: str) -> None:
    apis.answers["GET exit /exits/pending"] = page()
    answer = operator.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    stored = "max-age=31536000" in answer.headers["cache-control"]
    assert stored == path.startswith("/static")


def test_the_policy_allows_no_inline_script_or_style(operator: Browser, apis: FakeApis) -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    apis.answers["GET exit /exits/pending"] = page()
    for path in ("/login", "/exits"):
        html = operator.get(path).text
        assert " style=" not in html and "<style" not in html
        assert "<script>" not in html and " onclick=" not in html


@pytest.mark.parametrize(
    "wanted",
    ["https://evil", "//evil", "/\\evil", "evil", "javascript:alert(1)", "/a\r\nSet-Cookie: x", "", "/\t/evil"],
)
def test_the_sign_in_leads_to_no_other_site(wanted: str) -> None:
    assert own_path(wanted) == "/exits"


def test_a_query_survives_the_sign_in() -> None:
    assert own_path("/exits?symbol=NSE%3AINFY&view=all") == "/exits?symbol=NSE%3AINFY&view=all"
