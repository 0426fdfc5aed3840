"""The reader's page as an ASGI application: pages, photos, and the JSON that the page's script asks for.

    GET  /start?key=K     a cookie, and on to /                    GET  /          the reader's page
    GET  /lead?key=K      the lead's cookie, and on to /lead       GET  /lead      the lead's page
    GET  /api/queues      what there is to read                    GET  /static/…  scripts and styles
    POST /api/name        who reads                                GET  /photo/ID  a photo of a group at hand
    POST /api/next        groups to read                           POST /api/renew, /api/release  leases
    POST /api/answer      an answer, on the disk when it replies   POST /api/undo
    GET  /api/history     own answers                              POST /api/reveal  the machine's side of one
    GET  /api/lead/progress, /api/lead/group                       POST /api/lead/name, /api/lead/answer

`guard` stands before all of it. Every error is a reply {"error": code, "message": sentence} (`causes`), and one line
for the terminal where the fault is the store's, a photo's or a bug.
"""

from collections.abc import Callable, Collection
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from yanshou.errors import LockedError, RunError
from yanshou.missions import Missions
from yanshou.review.store.errors import DiskFullError
from yanshou.review.store.refusals import Code, RefusalError
from yanshou.review.store.store import Store
from yanshou.review.web import lead, reader_api
from yanshou.review.web.causes import CAUSES, Language, body
from yanshou.review.web.guard import HEADERS, Guard
from yanshou.review.web.notices import Notices
from yanshou.review.web.photo_route import PhotoRoute
from yanshou.review.web.site import page_routes


def create_app(
    store: Store,
    missions: Missions,
    *,
    hosts: Collection[str],
    lang: Language,
    network: bool,
    tell: Callable[[str], None],
) -> Starlette:
    """The application.

    hosts: names of this server, without port and brackets. network: other machines can reach it. tell: prints a line.
    """
    notices = Notices(tell)
    app = Starlette(
        routes=[
            *page_routes(store, lang, network),
            *reader_api.routes(store, missions),
            *lead.routes(store, missions),
            PhotoRoute(store, notices).route(),
        ],
        middleware=[Middleware(Guard, hosts, lang)],
        exception_handlers=_handlers(lang, notices),
    )
    app.router.redirect_slashes = False
    return app


def _handlers(lang: Language, notices: Notices) -> dict[Any, Callable[[Request, Exception], Response]]:
    """From errors to replies."""

    def refused(code: Code) -> Response:
        # A bug is answered outside of the guard, so that its headers are added here.
        return JSONResponse(body(code, lang), CAUSES[code].status, HEADERS)

    def refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        return refused(error.code)

    def of_the_store(request: Request, error: Exception) -> Response:
        notices(error)
        return refused(_code(error))

    def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refused("not_allowed" if error.status_code == 405 else "not_found")

    def bug(request: Request, error: Exception) -> Response:
        notices(f"a fault of yanshou's own, please report it: {_in_one_line(error)}")
        return refused("failed")

    return {RefusalError: refusal, RunError: of_the_store, HTTPException: of_http, Exception: bug}


def _code(error: Exception) -> Code:
    if isinstance(error, LockedError):
        return "busy"
    return "disk_full" if isinstance(error, DiskFullError) else "store_failed"


def _in_one_line(error: BaseException) -> str:
    """The error and where it was raised."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}: {error}{where}"
