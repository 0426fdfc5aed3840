"""The pages, their scripts and styles, and the links by which a browser signs in.

    /start?key=K   the reader's link      /lead?key=K   the lead's link       both lead on to the page without the key
    /              the reader's page      /lead         the lead's page       without a session: how to get one

A browser sends a cookie of SameSite=Strict only where the request comes from this server's own page. Who follows the
link in a mail or a chat arrives at the page without it. So the refusal asks the browser to come again, once: from here.
"""

from collections.abc import Mapping
from functools import cache, partial

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.store import Store
from yanshou.review.web import page
from yanshou.review.web.causes import CAUSES, Language
from yanshou.review.web.cookies import Cookie

AGAIN = "again"  # in the query of a page that was asked for from here


def page_routes(store: Store, lang: Language, network: bool) -> list[Route]:
    """All routes that a person opens, and what their pages load."""
    doors = Doors(store, lang, network)
    return [
        Route("/start", doors.start),
        Route("/lead", doors.lead),
        Route("/", doors.reader),
        Route("/static/{name}", _static),
    ]


def _static(request: Request) -> Response:
    found = page.asset(request.path_params["name"])
    if found is None:
        raise RefusalError("not_found", "There is no such script or style.")
    content, media_type = found
    return Response(content, media_type=media_type)


class Doors:
    """The two pages, and who may open them."""

    def __init__(self, store: Store, lang: Language, network: bool) -> None:
        self._readers, self._leads = Cookie(store, "reader"), Cookie(store, "lead")
        self._page = cache(partial(page.page, lang=lang, store=store.id, network=network))

    def start(self, request: Request) -> Response:
        """The reader's link."""
        return self._enter(self._readers, request, "/")

    def reader(self, request: Request) -> Response:
        """The reader's page."""
        return self._show(self._readers, request, "/", "review")

    def lead(self, request: Request) -> Response:
        """The lead's link or page."""
        if "key" in request.query_params:
            return self._enter(self._leads, request, "/lead")
        return self._show(self._leads, request, "/lead", "lead")

    def _enter(self, cookie: Cookie, request: Request, path: str) -> Response:
        """On to the page, with a session: the browser's own, where it has one, so that it keeps its name and groups."""
        if cookie.is_signed_in(request):
            return RedirectResponse(path, 303)
        try:
            session = cookie.store.sign_in(cookie.role, request.query_params.get("key", ""))
        except RefusalError:
            return self._refuse()
        return cookie.give(RedirectResponse(path, 303), session)

    def _show(self, cookie: Cookie, request: Request, path: str, kind: str) -> Response:
        if cookie.is_signed_in(request):
            return HTMLResponse(self._page(kind))
        again = {} if AGAIN in request.query_params else {"Refresh": f"0; url={path}?{AGAIN}"}
        return self._refuse(again)

    def _refuse(self, headers: Mapping[str, str] | None = None) -> Response:
        return HTMLResponse(self._page("sign_in"), CAUSES["sign_in"].status, headers)
