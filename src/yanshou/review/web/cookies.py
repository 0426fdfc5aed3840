"""The cookies of readers and of the lead.

    Set-Cookie: yanshou_reader_3f9c41d20b7a6e58=…; HttpOnly; Path=/; SameSite=Strict

A name holds the store's id, because cookies know no ports: two servers of one machine would take each other's. The
value is the session's, 256 random bits. It ends with the browser; opening the start link again begins another session.
"""

from starlette.requests import Request
from starlette.responses import Response

from yanshou.review.store.readings import Role
from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.store import Store


class Cookie:
    """The cookie of one role."""

    def __init__(self, store: Store, role: Role) -> None:
        self.store, self.role, self.name = store, role, f"yanshou_{role}_{store.id}"

    def session(self, request: Request) -> str:
        """The cookie's value. The store's methods say whether it is a session. Raises RefusalError: sign_in."""
        value = request.cookies.get(self.name)
        if not value:
            raise RefusalError("sign_in", "The request has no cookie.")
        return value

    def is_signed_in(self, request: Request) -> bool:
        """Whether the request comes from a session of this role."""
        try:
            return self.store.session(self.session(request)).role == self.role
        except RefusalError:
            return False

    def give(self, reply: Response, session: str) -> Response:
        """The reply, with the cookie."""
        reply.set_cookie(self.name, session, path="/", httponly=True, samesite="strict")
        return reply
