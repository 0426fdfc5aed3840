"""Clients that are slow, silent, or too many cannot keep others from the page."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from support.review_site import Browser, Site, raw, serve_site

from yanshou.review.web.connections import PatientConnection
from yanshou.review.web.guard import HEADERS


class Hasty(PatientConnection):
    """The same, with less patience."""

    wait_s, request_s, reply_s, most = 0.6, 0.6, 0.6, 6
    cuts = 0

    def cut(self) -> None:
        type(self).cuts += 1
        super().cut()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve_site(tmp_path_factory.mktemp("site"), connection=Hasty, groups=1) as running:
        yield running


def ended_after(connection: socket.socket) -> float:
    """Seconds until the server ends the connection."""
    began = time.monotonic()
    connection.settimeout(5)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


def connect(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port))


def get(site: Site, path: str = "/static/review.css") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.mark.parametrize(
    "begun",
    [
        b"", b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /api/answer HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"GET /static/review.css HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
    ],
    ids=["nothing", "half a header", "half a body", "a reader's request whose body never comes"],
)  # fmt: skip
def test_a_request_that_never_completes_is_cut(site: Site, begun: bytes) -> None:
    with connect(site) as connection:
        connection.sendall(begun)
        assert 0.5 < ended_after(connection) < 3


def test_a_request_that_comes_byte_by_byte_is_cut(site: Site) -> None:
    with connect(site) as connection:
        connection.settimeout(0.02)
        began = time.monotonic()
        for byte in get(site, "/static/review.css?" + 100 * "x"):
            connection.sendall(bytes([byte]))
            with suppress(TimeoutError):
                assert connection.recv(1) == b""
                break
    assert 0.5 < time.monotonic() - began < 3


def test_a_browser_that_is_quiet_between_requests_is_let_go_in_peace(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.connect()
    with closing(connection), connection.sock as same:
        for _ in range(3):  # each time within its patience
            connection.request("GET", "/static/review.css")
            assert connection.getresponse().read()
            assert connection.sock is same
            time.sleep(0.15)
        assert ended_after(same) < 2


def test_a_client_that_takes_no_reply_is_cut(site: Site) -> None:
    before = Hasty.cuts
    with connect(site) as connection:
        connection.settimeout(0.02)
        with suppress(OSError):
            for _ in range(1000):  # 15 MB of replies, and none is read
                connection.sendall(get(site))
        ends = time.monotonic() + 5
        while Hasty.cuts == before and time.monotonic() < ends:
            time.sleep(0.01)
    assert Hasty.cuts > before


def test_too_many_connections_cost_those_that_wait_longest(site: Site) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(site)) for _ in range(20)]
        began = time.monotonic()
        assert Browser(site.port).get("/static/review.css").status == 200
        assert time.monotonic() - began < 0.5  # before any of them has run out of time
        assert all(ended_after(connection) < 0.3 for connection in silent[:15])


class Few(PatientConnection):
    """Few connections, each with all the time for a reply."""

    most = 6


def test_clients_that_take_no_reply_make_room_for_others(tmp_path: Path) -> None:
    with serve_site(tmp_path, connection=Few, groups=1) as site, ExitStack() as stack:
        for _ in range(8):
            stalled = stack.enter_context(connect(site))
            stalled.settimeout(0.05)
            with suppress(OSError):
                for _ in range(1000):
                    stalled.sendall(get(site))
        assert Browser(site.port).get("/static/review.css").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000, b"GET / HTTP/1.1\r\n a: b\r\n\r\n",
    ],
    ids=["TLS", "no version", "two hosts", "a header without end", "a bent header"],
)  # fmt: skip
def test_what_is_no_http_gets_one_sentence(site: Site, sent: bytes) -> None:
    reply = raw(site.port, sent)
    head, _, content = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert all(f"{name}: {value}\r\n".encode() in head + b"\r\n" for name, value in HEADERS.items())
    assert json.loads(content)["error"] == "bad_request"


def test_a_broken_body_after_a_reply_has_begun_ends_the_connection(site: Site) -> None:
    chunked = get(site).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    reply = raw(site.port, chunked, b"zz\r\n", pause=0.1)
    assert reply.count(b"HTTP/1.1 ") <= 1
    assert Browser(site.port).get("/static/review.css").status == 200


def test_a_websocket_is_no_page(site: Site) -> None:
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert b"404 Not Found" in raw(site.port, get(site, "/ws").replace(b"\r\n\r\n", upgrade))


def test_nothing_of_it_reaches_the_terminal(site: Site) -> None:
    assert site.told == []
