"""Serves the page until it is stopped."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from yanshou.review.web.connections import WAIT_S, PatientConnection

GRACE_S = 3  # for answers under way when the server ends
HEADER_BYTES = 16_384


class PageServer(uvicorn.Server):
    """A server whose signals are the command line's affair."""

    def __init__(
        self, app: ASGIApp, bound: socket.socket, connection: type[PatientConnection] = PatientConnection
    ) -> None:
        super().__init__(_config(app, connection))
        self._bound = bound

    def serve_until_stopped(self) -> None:
        """Answers requests until `stop`."""
        self.run(sockets=[self._bound])

    def stop(self) -> None:
        """Ends the server: requests under way are answered. For a signal handler, too."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, connection: type[PatientConnection]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,  # the application tells what went wrong; the rest is about what clients send
        access_log=False,  # it would log the keys of the links
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(WAIT_S),
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
