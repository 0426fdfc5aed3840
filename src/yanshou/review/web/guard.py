"""What stands before every request, whatever it asks for: an ASGI application around the page's own.

    request ─ Host ─ Origin ─ JSON ─ size and time of the body ─→ the page's routes
    reply   ←─────────────── the same headers on every reply, refusals too ───────┘

    Host            another site's name that leads to this machine (DNS rebinding) is no name of this server
    Origin          another site's page cannot send what the reader's own page sends (CSRF), nor fetch data or photos
    JSON            no form of another page has this content type without asking first, and this server never agrees
    body            at most BODY_BYTES, counted as they arrive, in BODY_S seconds; the routes get it whole

The cookie's SameSite=Strict and the policy below keep out the rest. TLS is not among it: the page says so on a network.
"""

import asyncio
import re
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yanshou.review.store.refusals import RefusalError
from yanshou.review.web.causes import CAUSES, Language, body

BODY_BYTES: Final = 64 * 1024
BODY_S: Final = 10.0  # seconds for a whole body
READS: Final = ("GET", "HEAD")
HOST: Final = re.compile(r"(?P<name>[^:\[\]]+|\[[^\[\]]+\])(:[0-9]+)?")
OWN_SITE: Final = ("same-origin", "none")  # none: the address was typed, or is a bookmark

POLICY: Final = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' blob:",
        "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'",
    )
)  # fmt: skip

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """The application behind it gets only requests of the reader's own page, with the whole body. Raises nothing."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], language: Language, body_s: float = BODY_S) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.language = language
        self.body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Other kinds of scope (lifespan) pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            _check_host(headers, self.hosts)
            _check_origin(scope, headers)
            content = await self._body(scope, headers, receive)
        except RefusalError as refusal:
            # What is left of the body is never read: the connection ends with the reply.
            reply = JSONResponse(
                body(refusal.code, self.language), CAUSES[refusal.code].status, {"Connection": "close"}
            )
            await reply(scope, receive, _with_headers(send))
            return
        if content is not None:
            await self.app(scope, _replayed(content, receive), _with_headers(send))

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body; None if the client left."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and scope["method"] not in READS:
            raise RefusalError("bad_request", "The body is not application/json.")
        if int(headers.get("content-length", "0")) > BODY_BYTES:  # h11 let only digits pass
            raise RefusalError("too_large", f"The body has more than {BODY_BYTES} bytes.")
        try:
            async with asyncio.timeout(self.body_s):
                return await _read(receive)
        except TimeoutError as error:
            raise RefusalError("too_slow", "The body did not arrive in time.") from error


async def _read(receive: Receive) -> bytes | None:
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        content += message.get("body", b"")
        if len(content) > BODY_BYTES:
            raise RefusalError("too_large", f"The body has more than {BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(content)


def _check_host(headers: Headers, hosts: Collection[str]) -> None:
    """The name without its port: a tunnel (`ssh -L`) may have another one."""
    if host_name(headers.get("host", "")) not in hosts:
        raise RefusalError("forbidden_host", "This is not a name of this server.")


def host_name(host: str) -> str:
    """The name or address of a Host header, in lower case: `[::1]:8765` → `::1`. Empty where it is none."""
    found = HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else ""


def _check_origin(scope: Scope, headers: Headers) -> None:
    """Only the server's own page sends anything or fetches data; a page may be opened from everywhere.

    Browsers send Origin with every POST. They send Sec-Fetch-Site to this machine's own address alone.
    """
    site = headers.get("sec-fetch-site")
    reads = scope["method"] in READS
    if site is not None and site not in OWN_SITE and not (reads and _is_page(scope["path"])):
        raise RefusalError("forbidden_origin", "Another site's page asks.")
    origin = headers.get("origin")
    if (origin is None and reads) or origin == f"{scope['scheme']}://{headers['host']}":
        return
    raise RefusalError("forbidden_origin", "Another site's page sends this.")


def _is_page(path: str) -> bool:
    return path in ("/", "/start", "/lead")


def _replayed(content: bytes, receive: Receive) -> Receive:
    """The body in one message, then what the server has to say: that the client left."""
    messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent
