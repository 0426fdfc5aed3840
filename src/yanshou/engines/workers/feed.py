"""The requests of a worker: they arrive in small calls, and leave in one iterator per `generate`.

    add [1 2 3] ─┐                        ┌─ 1 2 3 4 5 ─ nothing for IDLE_S: the iterator ends, and so does `generate`
    add [4 5]   ─┴─► queued ─► iterators ─┤
    … add [6]   ───►                      └─ 6 …

A scheduler reads its source on the thread that runs the model, and waits for a full batch. A source that waited for
more requests would therefore keep back the answers to those that are there; a source that ends lets them out. How long
it waits depends on what follows: not at all where nothing will come, and longer where more is on its way.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from yanshou.engines.base import Request
from yanshou.engines.workers.messages import Follows

IDLE_S: Mapping[Follows, float] = {  # seconds without a request, after which an iterator ends
    "more now": 2.0, "maybe more": 0.05, "nothing": 0.0,
}  # fmt: skip


class Feed:
    """A queue of requests. One thread iterates over `iterators`; all other methods are for any thread.

    `changed` guards the feed, and is notified of every change.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._queued: deque[Request] = deque()
        self._follows: Follows = "maybe more"
        self._busy = False  # from an iterator's first request until the next iterator is asked for

    def __len__(self) -> int:
        """How many requests are queued."""
        return len(self._queued)

    @property
    def idle(self) -> bool:
        """No request is queued, and what was read is done."""
        with self._changed:
            return not self._busy and not self._queued

    def add(self, requests: Iterable[Request], follows: Follows = "maybe more") -> None:
        with self._changed:
            self._queued.extend(requests)
            self._follows = follows
            self._changed.notify_all()

    def clear(self) -> None:
        """Drops the queued requests. An iterator that waits for more ends."""
        with self._changed:
            self._queued.clear()
            self._follows = "nothing"
            self._changed.notify_all()

    def wait_until_idle(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.idle)

    def iterators(self) -> Iterator[Iterator[Request]]:
        """Without end: waits for a request, then gives an iterator over it and those that follow."""
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queued)
                self._busy = True
            yield self._until_idle()

    def _until_idle(self) -> Iterator[Request]:
        while (request := self._next()) is not None:
            yield request

    def _next(self) -> Request | None:
        with self._changed:
            began = time.monotonic()
            while not self._queued and (left := began + IDLE_S[self._follows] - time.monotonic()) > 0:
                self._changed.wait(left)  # what follows may change meanwhile: more was on its way, and does not come
            return self._queued.popleft() if self._queued else None
