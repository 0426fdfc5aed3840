"""GET /photo/ID?size=view|full: a photo by the number of its row, never by a path.

A few photos are decoded at a time, in threads that leave enough of them for answers, and none for a browser that has
gone on meanwhile. A file that is missing or damaged is named in the terminal.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.store import Store
from yanshou.review.web.cookies import Cookie
from yanshou.review.web.notices import Notices
from yanshou.review.web.photos import Size, jpeg

AT_ONCE: Final = max(2, min(os.cpu_count() or 1, 8))  # Pillow decodes without the GIL
NUMBER: Final = re.compile(r"[0-9]{1,16}")  # 53 bits
SIZES: Final[Mapping[str, Size]] = {"view": "view", "full": "full"}


class PhotoRoute:
    """Photos of groups that the request's session may see."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store, self._notices = store, notices
        self._cookies = Cookie(store, "reader"), Cookie(store, "lead")
        self._turn = anyio.Semaphore(AT_ONCE)

    def route(self) -> Route:
        """The route of all photos."""
        return Route("/photo/{id}", self._photo)

    async def _photo(self, request: Request) -> Response:
        number, size = request.path_params["id"], SIZES.get(request.query_params.get("size", "view"))
        if not NUMBER.fullmatch(number) or size is None:
            raise RefusalError("not_found", "There is no such photo.")
        async with self._turn:
            await request.body()  # there is none; what comes next is whether the browser left
            if await request.is_disconnected():
                return Response(status_code=204)  # goes nowhere
            return Response(await run_in_threadpool(self._jpeg, request, int(number), size), media_type="image/jpeg")

    def _jpeg(self, request: Request, photo: int, size: Size) -> bytes:
        try:
            return jpeg(self._path(request, photo), size)
        except RefusalError as refusal:
            if refusal.code in ("photo_missing", "photo_unreadable"):
                self._notices(refusal)
            raise

    def _path(self, request: Request, photo: int) -> Path:
        """The file, for the reader, or else for the lead: a lead who reads has both cookies."""
        reader, lead = self._cookies
        try:
            return self._store.photo_path(reader.session(request), photo)
        except RefusalError:
            if not lead.is_signed_in(request):
                raise
            return self._store.photo_path(lead.session(request), photo)
