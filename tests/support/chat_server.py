"""A small HTTP server that speaks the protocol of chat completions, with answers that a test chooses."""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

MODEL = "demo"
Body = dict[str, Any]
Response = tuple[int, Any]  # status, and JSON or bytes
Answer = Callable[[Body], Response]


def completion(
    text: str | None = "无关图片×1", finish: str | None = "stop", prompt: int = 10, **fields: Any
) -> Response:
    """A well-formed reply."""
    message = {"role": "assistant", "content": text, **fields.pop("message", {})}
    usage = {"prompt_tokens": prompt, "completion_tokens": 5, "total_tokens": prompt + 5}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage, **fields}


def failed(status: int, words: str = "no") -> Response:
    return status, {"error": {"message": words}}


def photo(body: Body) -> Image.Image | None:
    """The picture in a request."""
    content = body["messages"][1]["content"]
    if isinstance(content, str):
        return None
    data = base64.b64decode(content[0]["image_url"]["url"].partition(",")[2])
    return Image.open(io.BytesIO(data)).convert("RGB")


def is_trial(body: Body) -> bool:
    """Whether it is the engine's own request with a grey picture."""
    picture = photo(body)
    return picture is not None and picture.getcolors(1) is not None


@dataclass
class ChatServer:
    """What the server answers, and what it was asked."""

    answer: Answer
    models: Response = (200, {"object": "list", "data": [{"id": MODEL, "owned_by": "tests", "max_model_len": 4096}]})
    version: Response = (200, {"version": "1.2.3"})
    asked: list[Body] = field(default_factory=list)  # bodies of chat completions
    headers: list[dict[str, str]] = field(default_factory=list)  # of every request
    url: str = ""
    most: int = 0  # chat completions at the same time
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, path: str, body: Body) -> Response:
        if path == "/v1/chat/completions":
            with self._lock:
                self.asked.append(body)
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                return self.answer(body)
            finally:
                with self._lock:
                    self._now -= 1
        return {"/v1/models": self.models, "/version": self.version}.get(path, (404, {"detail": "Not Found"}))

    @property
    def photos_asked(self) -> list[Body]:
        return [body for body in self.asked if not is_trial(body)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chat: ChatServer

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Body) -> None:
        self.chat.headers.append({name.lower(): value for name, value in self.headers.items()})
        status, content = self.chat.reply(self.path, body)
        if status == 0:  # the connection breaks
            self.close_connection = True
            return
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", content["location"])
        self.send_header("Content-Type", "text/html" if isinstance(content, bytes) else "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None: ...


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no error here."""


@contextmanager
def chat_server(answer: Answer = lambda _: completion(), **options: Any) -> Iterator[ChatServer]:
    """A server on a free port of this host, until the context ends."""
    chat = ChatServer(answer, **options)
    http = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"chat": chat}))
    chat.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
