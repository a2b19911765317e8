"""Who may look: a token that works once and leaves a cookie; nobody from other machines, other users or other web pages.

The socket listens on this machine only, but other users of a login node, and pages that the user's browser has open, can reach it too:
hence the secret, the check of the host's name (against DNS rebinding) and of the origin of whatever changes something.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomobayes.report import theme_script

__all__ = ["Access", "Guard"]

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
THEME = base64.b64encode(hashlib.sha256(theme_script().encode()).digest()).decode()
POLICY = (
    "default-src 'self'",
    f"script-src 'self' 'sha256-{THEME}'",
    "img-src 'self' data: blob:",
    "style-src 'self' 'unsafe-inline'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
REFUSED = (
    "<!doctype html><title>tomobayes</title><body style='font:16px/1.5 system-ui;margin:4rem auto;max-width:36rem'>"
    "<h1 style='font-size:1.4rem'>{what}</h1><p>{remedy}</p>"
)


class Access:
    """The secrets of one server: the token of its link, which works once, and what the cookie must say from then on."""

    def __init__(self, cookie: str) -> None:
        self.cookie = cookie
        self.token: str | None = None
        self._session = secrets.token_urlsafe(32)
        self.new_token()

    def new_token(self) -> str:
        """Another token, for another browser."""
        self.token = secrets.token_urlsafe(24)
        return self.token

    def admits(self, request: Request) -> bool:
        """Whether a request carries the cookie."""
        return _same(request.cookies.get(self.cookie), self._session)

    def opened(self, request: Request) -> Response | None:
        """What a request with the right token gets: the cookie, and its page without the token; None for another request."""
        if request.method != "GET" or not _same(request.query_params.get("token"), self.token):
            return None
        self.token = None
        rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
        response = RedirectResponse(request.url.path + (f"?{rest}" if rest else ""), status_code=303)
        response.set_cookie(self.cookie, self._session, httponly=True, samesite="strict", max_age=30 * 24 * 3600)
        return response


class Guard:
    """Lets nothing through to ``app`` that `Access` does not admit, and sends every answer with headers that keep others out."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((name.lower().encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        answer = self._answer(Request(scope))
        await (self._app if answer is None else answer)(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """None lets the request through."""
        if urlsplit(f"//{request.headers.get('host', '')}").hostname not in LOCAL_NAMES:
            return _refused("This name does not belong to this server.", "Open it as 127.0.0.1 or localhost.")
        if self._access.admits(request):
            if request.method in ("GET", "HEAD") or _is_own(request):
                return None
            return _refused("Another page asked for this.", "Nothing was done.")
        return self._access.opened(request) or _refused(
            "This page needs a link that has not been used.",
            "<code>tomobayes gui</code> prints one when it starts. A browser that is let in can give another one: “Open elsewhere”.",
        )


def _is_own(request: Request) -> bool:
    """Whether a request comes from a page of this server."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _same(given: str | None, secret: str | None) -> bool:
    return given is not None and secret is not None and hmac.compare_digest(given.encode(), secret.encode())


def _refused(what: str, remedy: str) -> Response:
    return HTMLResponse(REFUSED.format(what=what, remedy=remedy), status_code=403)
