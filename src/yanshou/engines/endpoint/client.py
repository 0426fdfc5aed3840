"""A server through the openai SDK: what a reply, a refusal or a broken connection means for a request.

    request ── gate ── slot ── SDK (retries 429, 5xx, timeouts, connections) ── body of the reply
                 │                     └─ no connection, or silence: the gate closes
                 └─ gate.py: closed while the server is away

Everything here runs in one event loop. SDK and HTTP library see the address without user and password.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from yanshou.engines.endpoint.address import Address
from yanshou.engines.endpoint.gate import AwayError, BusyError, Gate, Patience
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


class Server:
    """One server, in the event loop that opened it."""

    def __init__(
        self, address: Address, model: str, concurrency: int, patience: Patience, stopped: Callable[[], bool]
    ) -> None:
        self.address, self.model, self.patience = address, model, patience
        self._slots = asyncio.Semaphore(concurrency)
        self._gate = Gate(address.base_url, patience, lambda: self._get("/models"), stopped)

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
        return await self._gate.patiently(lambda: self._sent(fields))

    async def models(self) -> dict[str, dict[str, Any]]:
        """The models that the server lists, by name. Empty where it lists none. Raises RunError, StoppedError."""
        try:
            return await self._gate.patiently(self._listed)
        except GenerationError as error:
            raise RunError(
                f"{self.address.base_url}: {error}. Start the server, and run the same command again."
            ) from None

    async def version(self) -> str | None:
        """What GET /version beside /v1 says."""
        try:
            found = await self._get(f"{self.address.beside}/version")
        except AwayError:
            return None
        version = found.get("version") if isinstance(found, Mapping) else None
        return self.address.words(version, 60) if isinstance(version, str) else None

    # ---- one request ----

    async def _sent(self, fields: Mapping[str, Any]) -> bytes:
        import openai

        known = {name: value for name, value in fields.items() if name in SDK_FIELDS}
        extra = {name: value for name, value in fields.items() if name not in SDK_FIELDS}
        await self._gate.passed()
        async with self._slots:
            self._gate.check_stopped()
            try:
                async with asyncio.timeout(self.patience.photo_s):
                    raw = await self._gate.unless_silent(
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
        self._gate.answered()
        body: bytes = raw.http_response.content
        return body

    async def _refusal(self, error: Any) -> Exception:
        """What an HTTP status means. `AwayError`: the request is worth another try, later."""
        self._gate.heard()
        status, words = error.status_code, self.address.words(says(error.body or error.response.text))
        if status == BUSY:
            return BusyError(words)
        if status in GATEWAY:
            return AwayError(f"{status}: {words}", refused(status, words))
        if 300 <= status < 400 or status in ENDING:
            names = await self._names() if status == 404 else ()
            location = error.response.headers.get("location", "elsewhere")
            return ending(status, words, self.address, self.model, names, self.address.words(location))
        return refused(status, words)

    def _away(self, error: Exception) -> Exception:
        """What a failed connection means: `AwayError`, or the end of the run where waiting does not help."""
        innermost = _innermost(error)
        cause = self.address.words(innermost)
        if isinstance(innermost, ssl.SSLError) and innermost.reason in UNTRUSTED:
            return RunError(f"{self.address.base_url}: no encrypted connection ({cause}). {TRUST}")
        broken = f"the connection to the server broke at each of {self.patience.rounds} tries ({cause})"
        return AwayError(cause, GenerationError(broken, "look at the server's log; the next run tries the group again"))

    async def _names(self) -> tuple[str, ...]:
        try:
            return tuple(await self._listed())
        except (RunError, AwayError):
            return ()

    async def _listed(self) -> dict[str, dict[str, Any]]:
        found = await self._get("/models")
        data = found.get("data") if isinstance(found, Mapping) else None
        listed = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        return {self.address.words(entry["id"]): entry for entry in listed if isinstance(entry.get("id"), str)}

    async def _get(self, path: str) -> object:
        """What a page holds, None where the server refuses it. Raises `AwayError` where there is no server."""
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
        self._gate.heard()
        return found


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
