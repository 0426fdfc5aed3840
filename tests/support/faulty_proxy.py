"""A proxy in front of a server, which makes the faults of a plan, one per request.

    pass            the server's own answer
    slow            the same, later
    cut             the same, and the connection ends in the middle of the body
    reset           the connection ends before any answer
    refuse          the same, and for a while no connection is accepted
    garbage         200 with a body that is no JSON
    redirect        307 to another host
    429, 503, …     that status, with Retry-After where it is 429 or 503

It counts what it did, and keeps the headers of every request.
"""

import base64
import http.client
import io
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from PIL import Image

from support.serving import free_port

CHAT = "/v1/chat/completions"
GARBAGE = b"<html><body>502 Bad Gateway"
RETRY_AFTER_S = {429: "0.2", 503: "0.2"}
LATE_S = 1.0  # seconds, of a slow answer
CLOSED_S = 0.5  # seconds without a listener, of a refusal
UPSTREAM_S = 120  # seconds
MOST_FAULTS = 3  # of one body

Plan = Callable[["Received"], str]


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    number: int  # from 0, in order of arrival
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def picture(self) -> Image.Image:
        """The picture in a chat completion's user message."""
        user = json.loads(self.body)["messages"][-1]["content"]
        (url,) = [part["image_url"]["url"] for part in user if part["type"] == "image_url"]
        return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def always(fault: str) -> Plan:
    """The same for every request."""
    return lambda _: fault


def seeded(seed: int, shares: Mapping[str, float]) -> Plan:
    """For each request the fault with that share, by its number; "pass" for the rest.

    The same body meets at most MOST_FAULTS of them, and connections are refused once: that ends those of other
    requests, too, and costs each two tries at most. So a client's five retries suffice whatever the order of requests.
    """
    faults: Counter[bytes] = Counter()
    spent: set[str] = set()

    def plan(received: Received) -> str:
        drawn = random.Random(f"{seed}:{received.number}").random()
        for fault, share in shares.items():
            drawn -= share
            if drawn < 0 and fault not in spent and faults[received.body] < MOST_FAULTS:
                faults[received.body] += 1
                spent.update({"refuse"} & {fault})
                return fault
        return "pass"

    return plan


class Proxy:
    """Listens on a port of its own. A context: its threads and its port end with it."""

    def __init__(self, upstream: int, plan: Plan | None = None, elsewhere: str = "", model: str = "") -> None:
        self.upstream, self.plan = upstream, plan or always("pass")
        self.elsewhere = elsewhere  # where `redirect` points to
        self.model = model  # what the server is asked for, whatever the client calls it; empty: the client's name
        self.port = free_port()
        self.counts: Counter[str] = Counter()
        self.received: list[Received] = []
        self._changing = threading.Lock()
        self._listener: _Listener | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()

    def listen(self) -> None:
        """Accepts connections."""
        with self._changing:
            if self._listener is None:
                self._listener = _Listener(self)
                threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def refuse(self) -> None:
        """Ends all connections and accepts no other, until `listen`."""
        with self._changing:
            if self._listener is not None:
                self._listener.shutdown()
                self._listener.server_close()
                self._listener.end_connections()
                self._listener = None

    def answer(self, handler: "_Handler", body: bytes) -> None:
        """Does to one request what the plan says."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._changing:
            received = Received(len(self.received), handler.path, headers, body)
            self.received.append(received)
        fault = self.plan(received)
        self.counts[fault] += 1
        if fault.isdigit():
            handler.say(int(fault), b'{"error": {"message": "made by the proxy"}}')
        else:
            getattr(self, f"_{fault}")(handler, received)

    def _pass(self, handler: "_Handler", received: Received) -> None:
        handler.say(*self._asked(received))

    def _slow(self, handler: "_Handler", received: Received) -> None:
        time.sleep(LATE_S)
        self._pass(handler, received)

    def _cut(self, handler: "_Handler", received: Received) -> None:
        status, body = self._asked(received)
        handler.say(status, body, sent=len(body) // 2)
        handler.end()

    def _reset(self, handler: "_Handler", received: Received) -> None:
        handler.end(reset=True)

    def _refuse(self, handler: "_Handler", received: Received) -> None:
        def for_a_while() -> None:
            self.refuse()
            time.sleep(CLOSED_S)
            self.listen()

        threading.Thread(target=for_a_while, daemon=True).start()
        handler.end(reset=True)

    def _garbage(self, handler: "_Handler", received: Received) -> None:
        handler.say(200, GARBAGE)

    def _redirect(self, handler: "_Handler", received: Received) -> None:
        handler.say(307, b"", Location=self.elsewhere + received.path)

    def _asked(self, received: Received) -> tuple[int, bytes]:
        """Status and body of the server's own answer; 502 where there is no server."""
        body = received.body
        if body and self.model:
            body = json.dumps({**json.loads(body), "model": self.model}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=UPSTREAM_S)
        try:
            method, headers = "POST" if body else "GET", {"Content-Type": "application/json"}
            connection.request(method, received.path, body or None, headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            return 502, b"no server"
        finally:
            connection.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", proxy.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        request.close()  # without a shutdown, which would say goodbye where a reset is wanted

    def end_connections(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is nothing to report."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_GET(self) -> None:
        self.server.proxy.answer(self, b"")

    def do_POST(self) -> None:
        self.server.proxy.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, status: int, body: bytes, sent: int | None = None, **headers: str) -> None:
        """An answer of which only `sent` bytes of the body are sent."""
        self.send_response(status)
        if status in RETRY_AFTER_S:
            headers["Retry-After"] = RETRY_AFTER_S[status]
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])

    def end(self, reset: bool = False) -> None:
        """Ends the connection; with a reset, as the system of a process that was killed does."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what happened is in `counts` and `received`."""
