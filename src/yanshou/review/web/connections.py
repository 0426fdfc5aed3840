"""One browser's connection: uvicorn's, with an end for those that never come to the point.

    waits for a request      at most WAIT_S since the connection or the last reply; then it is closed
    sends a request          at most REQUEST_S from the first byte to the last one; then it is cut
    takes a reply            at most REPLY_S with a full buffer; then it is cut
    one connection too many  the one whose client keeps us waiting longest is cut, in favour of the new one; where none
                             does, the one that keeps us busy longest: whoever is new gets a reply

uvicorn itself starts no timer before the first reply, so a client that sends half a request holds its connection for
ever. What is no HTTP gets one JSON sentence, with the headers of every other reply.
"""

import asyncio
import json
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from yanshou.review.web.causes import body
from yanshou.review.web.guard import HEADERS

WAIT_S: Final = 20.0
REQUEST_S: Final = 20.0  # 64 KB in that time is a very slow line
REPLY_S: Final = 60.0
LINGER_S: Final = 5.0  # for the last bytes of a closed connection
MOST: Final = 200  # connections; a browser opens six


class PatientConnection(H11Protocol):
    """A connection with deadlines. A subclass may have others."""

    wait_s, request_s, reply_s, most = WAIT_S, REQUEST_S, REPLY_S, MOST

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._awaited: str | None = None  # "request": the start of one; "rest": what is missing of one
        self._since = 0.0  # of the loop's clock
        self._deadline: asyncio.TimerHandle | None = None
        self._reply_deadline: asyncio.TimerHandle | None = None
        self._stuck_since: float | None = None  # its client does not take its reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the first request, and makes room where there are too many."""
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self._watch()
        others = [
            one
            for one in self.connections
            if isinstance(one, PatientConnection) and one is not self and not one.is_ending
        ]
        if len(others) >= self.most:  # browsers open a closed connection again by themselves
            min(others, key=lambda one: one.patience_left).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        for clock in (self._deadline, self._reply_deadline):
            if clock is not None:
                clock.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request, a whole one, or several."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The client is slow to take what it asked for."""
        super().pause_writing()
        self._stuck_since = self.loop.time()
        self._reply_deadline = self.loop.call_later(self.reply_s, self.cut)

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        super().resume_writing()
        self._stuck_since = None
        if self._reply_deadline is not None:
            self._reply_deadline.cancel()

    def cut(self) -> None:
        """Ends the connection now, whatever is under way."""
        self.transport.abort()

    @property
    def is_ending(self) -> bool:
        """Whether it is closed or cut, though the loop has not come to it yet."""
        return self.transport.is_closing()

    @property
    def patience_left(self) -> tuple[bool, float, int]:
        """The smaller, the sooner it makes room: first those whose client we wait for, then those that we work for."""
        if self._stuck_since is not None:
            return False, self._stuck_since, id(self)
        return self._awaited is None, self._since, id(self)

    def _watch(self) -> None:
        """Starts another clock where something else is awaited than before."""
        awaited = self._what_is_missing()
        if awaited == self._awaited:
            return
        self._awaited, self._since = awaited, self.loop.time()
        if self._deadline is not None:
            self._deadline.cancel()
        if awaited == "request":
            self._deadline = self.loop.call_later(self.wait_s, self._close)
        elif awaited == "rest":
            self._deadline = self.loop.call_later(self.request_s, self.cut)

    def _what_is_missing(self) -> str | None:
        if self.conn.their_state is h11.SEND_BODY:
            return "rest"
        if self.conn.their_state is h11.IDLE:
            begun, _ = self.conn.trailing_data
            return "rest" if begun else "request"
        return None

    def _close(self) -> None:
        """Ends the connection when what is written has left, but soon."""
        self.timeout_keep_alive_handler()
        self.loop.call_later(LINGER_S, self.cut)

    def send_400_response(self, msg: str) -> None:
        """The reply to what is no HTTP; none where another reply has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            content = json.dumps(body("bad_request", "en"), ensure_ascii=False).encode()
            headers = {**HEADERS, "Content-Type": "application/json", "Content-Length": f"{len(content)}"}
            lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "Connection": "close"}.items())
            self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{lines}\r\n".encode() + content)
        self.transport.close()
        self.loop.call_later(LINGER_S, self.cut)
