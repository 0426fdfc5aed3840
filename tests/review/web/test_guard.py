"""What stands before every request: other sites' pages, other names of this machine, bodies that are too much."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from starlette.types import Message
from support.review_site import Browser, Site, raw, serve_site

from yanshou.review.web.guard import BODY_BYTES, HEADERS, Guard, host_name

JSON = "application/json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def reader(site: Site) -> Browser:
    return site.reader("李")


def error(reply: bytes) -> tuple[int, str]:
    """Status and code of a raw reply, which has the headers of every reply."""
    head, _, content = reply.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    given = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= given.items()
    assert not {"server", "date"} & given.keys()
    return int(lines[0].split()[1]), json.loads(content)["error"]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8765", "127.0.0.1"), ("LocalHost", "localhost"), ("[::1]:80", "::1"), ("[::1]", "::1"),
        ("localhost:8765:1", ""), ("a@localhost:1", "a@localhost"), ("", ""), ("localhost:x", ""), ("::1", ""),
    ],
)  # fmt: skip
def test_the_name_of_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "0.0.0.0", "localhost.", "", "[::]"])
@pytest.mark.parametrize("path", ["/", "/start", "/static/review.js", "/api/queues", "/photo/1"])
def test_another_name_of_this_machine_gets_nothing(site: Site, reader: Browser, host: str, path: str) -> None:
    reply = reader.get(path, {"Host": host})
    assert (reply.status, reply.json()["error"]) == (421, "forbidden_host")


def test_a_request_without_host_gets_nothing(site: Site) -> None:
    assert error(raw(site.port, b"GET / HTTP/1.0\r\n\r\n")) == (421, "forbidden_host")


def test_a_tunnel_may_have_another_port(site: Site, reader: Browser) -> None:
    assert reader.get("/api/queues", {"Host": "localhost:9000"}).status == 200
    headers = {"Host": "localhost:9000", "Origin": "http://localhost:9000", "Content-Type": JSON}
    assert reader.send("POST", "/api/renew", b'{"groups": []}', headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": "http://localhost:{port}"},
        {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_no_other_page_can_answer(site: Site, reader: Browser, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=site.port) for name, value in headers.items()} | {"Content-Type": JSON}
    reply = reader.send("POST", "/api/renew", b'{"groups": []}', sent)
    assert (reply.status, reply.json()["error"]) == (403, "forbidden_origin")


@pytest.mark.parametrize("path", ["/api/queues", "/api/history", "/photo/1", "/static/review.js"])
def test_no_other_page_can_load_what_a_reader_sees(reader: Browser, path: str) -> None:
    assert reader.get(path, {"Sec-Fetch-Site": "same-site"}).status == 403
    assert reader.get(path, {"Origin": "http://evil.example"}).status == 403
    assert reader.get(path, {"Sec-Fetch-Site": "same-origin"}).status != 403


def test_the_page_itself_may_be_opened_from_everywhere(reader: Browser) -> None:
    assert reader.get("/", {"Sec-Fetch-Site": "cross-site"}).status == 200


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"],
)
def test_no_form_of_another_page_is_taken_for_a_request(site: Site, reader: Browser, kind: str) -> None:
    headers = {"Origin": f"http://127.0.0.1:{site.port}", "Content-Type": kind}
    reply = reader.send("POST", "/api/renew", b'{"groups": []}', headers)
    assert (reply.status, reply.json()["error"]) == (400, "bad_request")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(site: Site, reader: Browser, method: str) -> None:
    headers = {"Origin": f"http://127.0.0.1:{site.port}", "Content-Type": JSON}
    assert reader.send(method, "/api/renew", b"{}", headers).json()["error"] == "not_allowed"
    assert reader.send(method, "/api/renew", None, {}).status == 403  # a preflight among them


def head(site: Site, *more: str) -> bytes:
    lines = ("POST /api/answer HTTP/1.1", f"Host: 127.0.0.1:{site.port}", f"Origin: http://127.0.0.1:{site.port}")
    return "\r\n".join((*lines, f"Content-Type: {JSON}", *more, "", "")).encode()


def test_a_body_of_a_gigabyte_is_refused_before_it_is_sent(site: Site) -> None:
    assert error(raw(site.port, head(site, f"Content-Length: {2**30}"))) == (413, "too_large")
    assert error(raw(site.port, head(site, f"Content-Length: {BODY_BYTES + 1}"))) == (413, "too_large")


def test_a_body_without_a_length_is_refused_when_it_is_too_much(site: Site) -> None:
    chunk = b"%x\r\n%s\r\n" % (BODY_BYTES // 2, b" " * (BODY_BYTES // 2))
    assert error(raw(site.port, head(site, "Transfer-Encoding: chunked") + 2 * chunk, b"1\r\n \r\n")) == (
        413,
        "too_large",
    )


def test_a_chunked_body_of_the_right_size_is_read(site: Site, reader: Browser) -> None:
    headers = head(site, "Transfer-Encoding: chunked", f"Cookie: {reader.cookie}", "Connection: close")
    parts = (b'8\r\n{"uid": \r\n', b'3\r\n"x"\r\n', b"1\r\n}\r\n0\r\n\r\n")
    assert error(raw(site.port, headers, *parts)) == (400, "bad_request")  # a key is missing: all of it was read


def test_a_body_that_never_comes_is_too_slow() -> None:
    async def run() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.sleep(60)
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"a"), (b"origin", b"http://a"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/api/next", "headers": headers}
        await Guard(unreachable, {"a"}, "en", body_s=0.05)(scope, receive, send)
        return sent

    async def unreachable(*arguments: object) -> None:
        raise AssertionError

    start, reply = asyncio.run(run())
    assert (start["status"], json.loads(reply["body"])["error"]) == (408, "too_slow")


def test_a_client_that_leaves_amid_its_request_is_no_fault(site: Site) -> None:
    half = head(site, "Content-Length: 100") + b"{"
    with pytest.raises(TimeoutError):
        raw(site.port, half, patience=0.1)
    time.sleep(0.1)
    assert site.told == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 401), ("/lead", 401), ("/start", 401), ("/static/review.css", 200), ("/static/x", 404), ("/x", 404),
     ("/photo/1", 401),
     ("/api/queues", 401), ("/api/renew", 405), ("/api/lead/progress", 401)],
)  # fmt: skip
def test_every_reply_has_the_headers(site: Site, path: str, status: int) -> None:
    reply = Browser(site.port).get(path)
    assert reply.status == status
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= reply.headers.items()
    assert not {"server", "date", "set-cookie"} & reply.headers.keys()


def test_the_policy_lets_a_page_load_from_here_alone() -> None:
    policy = dict(rule.split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
