"""A server through the openai SDK: its retries, and what they do not cover.

    request ── gate ── slot ── SDK (retries 429, 5xx, timeouts, connections) ── body of the reply
                 │                     └─ no connection, or silence: the gate closes, one request probes until the
                 │                        server answers
                 └─ closed while the server is away: nothing is sent, nothing fails; after a while the run ends

Everything here runs in one event loop. SDK and HTTP library see the address without user and password.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from yanshou.engines.endpoint.address import Address
from yanshou.engines.endpoint.refusals import BUSY, ENDING, GATEWAY, ending, refused, says
from yanshou.errors import GenerationError, RunError, UsageError
from yanshou.requirements import how_to_install

MISSING = f"--engine endpoint needs the package openai: {how_to_install('endpoint')}"
NO_KEY = "Bearer EMPTY"  # the SDK sends no request without one; it is what vLLM's documents use
UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")  # waiting does not help
TRUST = (
    "Give the address that its certificate is for, name the certificate's authority in SSL_CERT_FILE, or write http:// "
    "for a server without encryption."
)
SDK_FIELDS = ("messages", "max_tokens", "temperature", "top_p", "seed")  # the others are extensions of servers

ReplyT = TypeVar("ReplyT")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds."""

    retries: int = 5  # of the SDK, 0.5 to 8 s apart
    request_s: float = 300.0  # for one try
    photo_s: float = 900.0  # for all tries of one request
    page_s: float = 10.0  # for one try of a page: /models, which probes ask for, or /version
    silent_s: float = 120.0  # without any answer, then it is probed
    away_s: float = 120.0  # without an answer to a probe, then the run ends
    busy_s: float = 300.0  # in which the server answers 429 (too many requests) to all, then the run ends
    probe_s: float = 1.0  # between the first two probes; each pause is twice the one before
    longest_pause_s: float = 10.0
    rounds: int = 3  # how often one request may find the server away


class StoppedError(Exception):
    """The engine was stopped before the request was answered."""


class Server:
    """One server, in the event loop that opened it."""

    def __init__(
        self, address: Address, model: str, concurrency: int, patience: Patience, stopped: Callable[[], bool]
    ) -> None:
        self.address, self.model, self.patience, self._stopped = address, model, patience, stopped
        self._slots, self._probing, self._gate = asyncio.Semaphore(concurrency), asyncio.Lock(), asyncio.Event()
        self._gate.set()
        self._returns = 0  # how often the server came back
        self._answered = self._heard = time.monotonic()  # when it last answered a request, and said anything

    async def open(self) -> None:
        """Makes the SDK's client, in the running event loop."""
        import openai

        proxies = {"http://": None, "https://": None} if self.address.is_loopback else None  # None: no proxy
        omit = openai.Omit()  # the SDK would send what the environment has for OpenAI's own server
        self._client = openai.AsyncOpenAI(
            base_url=self.address.base_url, api_key="unused", max_retries=self.patience.retries,
            timeout=openai.Timeout(self.patience.request_s, connect=10.0),
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, mounts=proxies),
            default_headers={
                "Authorization": self.address.authorization or NO_KEY,
                "OpenAI-Organization": omit, "OpenAI-Project": omit,
            },
        )  # fmt: skip

    async def close(self) -> None:
        await self._client.close()

    async def complete(self, fields: Mapping[str, Any]) -> bytes:
        """The body of the reply to a chat completion.

        Raises GenerationError where this request fails, RunError where every request would, StoppedError.
        """
        return await self._patiently(lambda: self._sent(fields))

    async def models(self) -> dict[str, dict[str, Any]]:
        """The models that the server lists, by name. Empty where it lists none. Raises RunError, StoppedError."""
        try:
            return await self._patiently(self._listed)
        except GenerationError as error:
            raise RunError(
                f"{self.address.base_url}: {error}. Start the server, and run the same command again."
            ) from None

    async def version(self) -> str | None:
        """What GET /version beside /v1 says."""
        try:
            found = await self._get(f"{self.address.beside}/version")
        except _AwayError:
            return None
        version = found.get("version") if isinstance(found, Mapping) else None
        return self.address.words(version, 60) if isinstance(version, str) else None

    # ---- one request ----

    async def _sent(self, fields: Mapping[str, Any]) -> bytes:
        import openai

        known = {name: value for name, value in fields.items() if name in SDK_FIELDS}
        extra = {name: value for name, value in fields.items() if name not in SDK_FIELDS}
        await self._gate.wait()
        async with self._slots:
            if self._stopped():
                raise StoppedError
            try:
                async with asyncio.timeout(self.patience.photo_s):
                    raw = await self._unless_silent(
                        self._client.chat.completions.with_raw_response.create(
                            model=self.model, **known, extra_body=extra or None
                        )
                    )
            except openai.APIStatusError as error:
                raise await self._refusal(error) from None
            except (openai.APITimeoutError, TimeoutError):
                raise GenerationError(
                    f"no answer in {self.patience.photo_s:g} s", "lower --concurrency, or look at the server's log"
                ) from None
            except openai.APIConnectionError as error:
                raise self._away(error) from None
        self._answered = self._heard = time.monotonic()
        body: bytes = raw.http_response.content
        return body

    async def _unless_silent(self, call: Coroutine[Any, Any, ReplyT]) -> ReplyT:
        """The result of the call, which continues while the server is probed. Raises RunError, StoppedError.

        A server that hangs keeps its connections: without probes, nothing would be known of it for `photo_s`.
        """
        work = asyncio.ensure_future(call)
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # else an event loop logs it
        try:
            while not (await asyncio.wait([work], timeout=self.patience.silent_s))[0]:
                if time.monotonic() - self._heard >= self.patience.silent_s:
                    await self._hold(self._returns, TimeoutError(f"it is silent for {self.patience.silent_s:g} s"))
            return work.result()
        finally:
            work.cancel()

    async def _refusal(self, error: Any) -> Exception:
        """What an HTTP status means. `_AwayError`: the request is worth another try, later."""
        self._heard = time.monotonic()
        status, words = error.status_code, self.address.words(says(error.body or error.response.text))
        if status == BUSY:
            return _BusyError(words)
        if status in GATEWAY:
            return _AwayError(f"{status}: {words}", refused(status, words))
        if 300 <= status < 400 or status in ENDING:
            names = await self._names() if status == 404 else ()
            location = error.response.headers.get("location", "elsewhere")
            return ending(status, words, self.address, self.model, names, self.address.words(location))
        return refused(status, words)

    def _away(self, error: Exception) -> Exception:
        """What a failed connection means: `_AwayError`, or the end of the run where waiting does not help."""
        innermost = _innermost(error)
        cause = self.address.words(innermost)
        if isinstance(innermost, ssl.SSLError) and innermost.reason in UNTRUSTED:
            return RunError(f"{self.address.base_url}: no encrypted connection ({cause}). {TRUST}")
        broken = f"the connection to the server broke at each of {self.patience.rounds} tries ({cause})"
        return _AwayError(
            cause, GenerationError(broken, "look at the server's log; the next run tries the group again")
        )

    async def _names(self) -> tuple[str, ...]:
        try:
            return tuple(await self._listed())
        except (RunError, _AwayError):
            return ()

    async def _listed(self) -> dict[str, dict[str, Any]]:
        found = await self._get("/models")
        data = found.get("data") if isinstance(found, Mapping) else None
        listed = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        return {self.address.words(entry["id"]): entry for entry in listed if isinstance(entry.get("id"), str)}

    async def _get(self, path: str) -> object:
        """What a page holds, None where the server refuses it. Raises `_AwayError` where there is no server."""
        import openai

        # One retry: a kept connection may have ended meanwhile.
        quick = self._client.with_options(max_retries=1, timeout=self.patience.page_s)
        try:
            found: object = await quick.get(path, cast_to=object)
        except openai.APIStatusError as error:
            if error.status_code in GATEWAY:
                raise self._away(error) from None
            found = None  # there is a server; what it refuses here, it may grant a request
        except openai.APIConnectionError as error:
            raise self._away(error) from None
        except ValueError:  # no JSON
            found = None
        self._heard = time.monotonic()
        return found

    # ---- a server that is away ----

    async def _patiently(self, call: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """The result of the call, which is tried again when the server is back, or less busy."""
        rounds = 0
        while True:
            returns = self._returns
            try:
                return await call()
            except _BusyError as error:
                await self._ease(error)
            except _AwayError as error:
                await self._hold(returns, error)
                rounds += 1
                if rounds >= self.patience.rounds:
                    raise error.failure from None

    async def _ease(self, busy: "_BusyError") -> None:
        """Waits for a server that has too many requests. Raises RunError where it answers none of them."""
        if time.monotonic() - self._answered > self.patience.busy_s:
            raise RunError(
                f"{self.address.base_url} has answered {BUSY} to every request for {self.patience.busy_s:g} s: {busy}. "
                "Lower --concurrency or wait, and run the same command again: it resumes."
            )
        await self._sleep(self.patience.longest_pause_s)

    async def _hold(self, returns: int, away: Exception) -> None:
        """Returns when the server is there. One request probes, the others wait. Raises RunError, StoppedError."""
        async with self._probing:
            if self._returns != returns:
                return
            self._gate.clear()
            logger.warning("%s: no answer (%s), waiting", self.address.base_url, away)
            try:
                await self._until_it_is_back(away)
                self._returns += 1
            finally:
                self._gate.set()

    async def _until_it_is_back(self, away: Exception) -> None:
        pause, began = self.patience.probe_s, time.monotonic()
        while time.monotonic() - began < self.patience.away_s:
            await self._sleep(pause)
            if self._heard > began:  # a request that was under way
                return
            pause = min(2 * pause, self.patience.longest_pause_s)
            try:
                await self._get("/models")
            except _AwayError as error:
                away = error
            else:
                return
        raise RunError(
            f"{self.address.base_url}: no answer for {self.patience.away_s:g} s ({away}). Start the server, and run "
            "the same command again: it resumes."
        )

    async def _sleep(self, seconds: float) -> None:
        """Sleeps, but not beyond a stop."""
        for _ in range(max(1, round(seconds / 0.2))):
            if self._stopped():
                raise StoppedError
            await asyncio.sleep(min(seconds, 0.2))


class _BusyError(Exception):
    """The server has too many requests."""


class _AwayError(Exception):
    """There is no server just now. `failure`: what the request fails with if that stays so for this request alone."""

    def __init__(self, cause: str, failure: GenerationError) -> None:
        super().__init__(cause)
        self.failure = failure


def _innermost(error: BaseException) -> BaseException:
    """What the HTTP library wraps: `[Errno 111] Connection refused`."""
    found = error
    while inner := error.__cause__ or error.__context__:
        error = inner
        found = error if str(error) else found
    return found


def check_installed() -> None:
    """Raises UsageError without the SDK."""
    from importlib.util import find_spec

    if find_spec("openai") is None:
        raise UsageError(MISSING)
