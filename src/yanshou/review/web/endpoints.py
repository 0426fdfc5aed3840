"""A route from a plain function: whose cookie it needs, what it reads, what it replies.

    get("/api/queues", reader, queues)             queues(session, query) -> dict
    post("/api/answer", reader, Answered, answer)  answer(session, asked) -> dict

Both functions run in a thread, because they use the store, which waits for the disk. `reader` finds the session of a
request's cookie or raises RefusalError. What the function returns is sent as JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from yanshou.review.store.refusals import RefusalError

Who = TypeVar("Who")
Asked = TypeVar("Asked", bound="Asking")
Reply = Mapping[str, Any]


class Asking(BaseModel):
    """The JSON body of a request: these keys, these types, no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def get(path: str, who: Callable[[Request], Who], act: Callable[[Who, Mapping[str, str]], Reply]) -> Route:
    """A route that reads. The second argument is the address's query."""

    def answered(request: Request) -> Reply:
        return act(who(request), request.query_params)

    async def endpoint(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(answered, request))

    return Route(path, endpoint, methods=["GET"])


def post(path: str, who: Callable[[Request], Who], asks: type[Asked], act: Callable[[Who, Asked], Reply]) -> Route:
    """A route that changes something. Raises RefusalError for a body that is not `asks`."""

    def answered(request: Request, content: bytes) -> Reply:
        return act(who(request), _read(asks, content))

    async def endpoint(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(answered, request, await request.body()))

    return Route(path, endpoint, methods=["POST"])


def _read(asks: type[Asked], content: bytes) -> Asked:
    try:
        return asks.model_validate_json(content)
    except ValidationError as error:
        raise RefusalError("bad_request", "The body has not the keys and types of this address.") from error
