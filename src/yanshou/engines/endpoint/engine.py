"""The endpoint engine: an OpenAI-compatible server answers, vLLM for example.

    request ─ decoded, upright, resized, encoded (threads) ─ chat completion (event loop) ─ answer
              └─ picture.py                                  └─ client.py, reply.py         └─ doubt.py: the photo's
                                                                                               fault, or the server's?

Nothing here knows a model family, but for the optional check of prompts (`--checkpoint`). The same request may get
another answer from a server: no promise of the same line.
"""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from PIL import Image

from yanshou.engines.base import Answer, Completion, Failure, Request, RunPlan
from yanshou.engines.batching import workers
from yanshou.engines.endpoint import line_logprobs
from yanshou.engines.endpoint.address import Address
from yanshou.engines.endpoint.background import Background
from yanshou.engines.endpoint.body import Body, messages, sampling_fields
from yanshou.engines.endpoint.client import Patience, Server, StoppedError, check_installed
from yanshou.engines.endpoint.doubt import Doubt
from yanshou.engines.endpoint.picture import FORMATS, Format, data_url, resized, visual_tokens
from yanshou.engines.endpoint.prompt_check import PromptCheck
from yanshou.engines.endpoint.reply import Reply
from yanshou.errors import GenerationError, GroupError, PhotoError, RunError, UsageError
from yanshou.inputs.images import decoded_photo
from yanshou.settings import EngineSettings

# Settings of engines that run a model.
LOCAL = ("device", "batch_size", "gpu_memory", "dtype", "quantize", "kv_cache", "attn")
SPAN = 50  # × requests in flight, read beyond the oldest unanswered one: later answers are held for order
SERVED = ("owned_by", "root", "max_model_len")  # what servers say of a model in /v1/models

Asked = Future[Answer | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request without what only its photo file has."""

    fields: Body
    rotated: bool = False
    prompt_tokens: int | None = None  # by our own count


class EndpointEngine:
    """An engine whose model is on a server."""

    data_wait_s, out_of_memory = 0.0, 0  # unknown here: they are the server's
    worker_deaths = 0

    def __init__(self, settings: EngineSettings, patience: Patience | None = None) -> None:
        check_installed()
        check_unused(settings)
        server = settings.server
        assert server.endpoint is not None
        assert server.model is not None
        self.settings, self.model, self.concurrency = settings, server.model, server.concurrency
        self.address, self.patience = Address.of(server.endpoint), patience or Patience()
        self._check = PromptCheck(settings.checkpoint, settings.base_checkpoint) if settings.checkpoint else None
        self._warnings = [self.address.warning] if self.address.warning else []
        self._facts: dict[str, Any] = {}
        self._run: RunPlan | None = None
        self._format: Format | None = None  # None: no photo was tried yet
        self._scores: bool | None = None  # whether likelihoods can be had; None: not tried yet
        self._stopped = False

    # ---- what run.json records ----

    def identity(self) -> dict[str, Any]:
        switches = self._check.switches if self._check else {}
        return {"model": self.model, **({"chat_template_kwargs": switches} if switches else {})}

    def environment(self) -> dict[str, Any]:
        check = {"checkpoint_folder": self.settings.checkpoint} if self.settings.checkpoint else {}
        asked = {"picture": self._format} if self._run and self._run.photos else {"p_pass": bool(self._scores)}
        packages = {"openai": version("openai")}
        return {"engine": "endpoint", "server": self.address.base_url, **self._facts, **asked, **check, **packages}

    # ---- a run ----

    @property
    def in_flight(self) -> int:
        return self.concurrency + workers()

    def load(self) -> None:
        """Nothing to load."""

    def reduce_capacity(self, out_of_memory: int) -> None:
        """Nothing to reduce."""

    def take_warnings(self) -> list[str]:
        taken, self._warnings = self._warnings, []
        return taken

    def stop(self) -> None:
        self._stopped = True

    def prepare_run(self, run: RunPlan) -> None:
        """Asks the server what it is, and for one answer: what every photo would fail with ends the run here."""
        self._run = run
        if self._stopped:
            return
        with self._session() as (loop, server):
            try:
                loop.run(self._meet(server, run))
            except StoppedError:
                return
        if run.needs_logprobs and not self._scores:
            raise UsageError(f"{line_logprobs.WHY}, and {self.address.base_url} gives none. {line_logprobs.CURE}.")

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        source = iter(requests)
        if self._run is None and (first := next(source, None)):  # from Python, without a run
            self.prepare_run(RunPlan(first.prompt, first.photo is not None, ()))
            source = chain([first], source)
        yield from self._answers(source)

    def _answers(self, source: Iterator[Request]) -> Iterator[Answer]:
        answers, asked, number = SimpleQueue[Asked](), dict[Asked, int](), 0
        with self._session() as (loop, server):
            doubt = Doubt(lambda: loop.run(self._trial_unless_stopped(server)))
            while True:
                while self._may_ask(asked, number) and (request := next(source, None)):
                    future = loop.start(self._answer(server, request))
                    asked[future], number = number, number + 1
                    future.add_done_callback(answers.put)
                if not asked:
                    break
                done = answers.get()
                del asked[done]
                if (answer := done.result()) is not None:
                    yield from doubt.pass_on(answer)
            yield from doubt.rest()

    def _may_ask(self, asked: Mapping[Asked, int], number: int) -> bool:
        """Whether request `number` may be read. `asked`: the numbers of those without an answer, the oldest first."""
        oldest = next(iter(asked.values()), number)
        return not self._stopped and len(asked) < self.in_flight and number - oldest < SPAN * self.in_flight

    @contextmanager
    def _session(self) -> Iterator[tuple[Background, Server]]:
        """A connected server. What is unfinished at the end of the context is cancelled."""
        with ThreadPoolExecutor(workers(), thread_name_prefix="prepare") as self._pool, Background("endpoint") as loop:
            server = Server(self.address, self.model, self.concurrency, self.patience, lambda: self._stopped)
            loop.run(server.open())
            try:
                yield loop, server
            finally:
                self._pool.shutdown(wait=False, cancel_futures=True)
                if loop.running:
                    loop.cancel()
                    loop.run(server.close())

    # ---- before the first request ----

    async def _meet(self, server: Server, run: RunPlan) -> None:
        served = (await server.models()).get(self.model, {})
        facts = {"version": await server.version(), **{name: served.get(name) for name in SERVED}}
        self._facts = {
            f"server_{name}": self.address.words(fact) if isinstance(fact, str) else fact
            for name, fact in facts.items()
            if isinstance(fact, str | int)
        }
        if run.photos and self._format is None:
            self._format = await self._format_taken(server)
        elif not run.photos and self._scores is None:
            self._scores = await self._can_score(server, run)

    async def _format_taken(self, server: Server) -> Format:
        """The first picture format in which the server answers. Raises RunError."""
        causes = []
        for kind in FORMATS:
            try:
                await self._trial(server, kind)
            except GenerationError as error:
                causes.append(str(error))
            else:
                return kind
        raise self._no_answer(causes[-1])

    async def _can_score(self, server: Server, run: RunPlan) -> bool:
        """Whether the server scores a prompt, and an open-ended line behind it. Raises RunError: it answers nothing."""
        try:
            await self._trial(server, None)
        except GenerationError as error:
            raise self._no_answer(str(error)) from None
        asked = messages(run.prompt)
        try:
            whole = line_logprobs.prompt_ids(await self._scored(server, asked, None))
            with_line = await self._scored(server, asked, line_logprobs.PROBE)
            line_logprobs.log_likelihood(with_line, line_logprobs.PROBE, len(whole) + 1)
        except GenerationError:
            return False
        return line_logprobs.prompt_ids(with_line)[: len(whole)] == whole

    async def _trial(self, server: Server, kind: Format | None) -> None:
        """One request with a grey picture of the largest size, or with none. Raises GenerationError: no answer."""
        assert self._run is not None, "prepare_run comes first"
        side = math.isqrt(self.settings.photo.max_pixels)
        grey = Image.new("RGB", (side, side), "grey")
        url = data_url(resized(grey, self.settings.photo), kind) if kind else None
        reply = await self._reply(server, self._fields(Request(0, self._run.prompt, None), url))
        if reply.finish_reason == "stop":
            _ = reply.text

    async def _trial_unless_stopped(self, server: Server) -> None:
        """A trial like the photos. Proves nothing where the engine was stopped: few failures are left to come."""
        with suppress(StoppedError):
            await self._trial(server, self._format)

    def _no_answer(self, cause: str) -> RunError:
        return RunError(
            f"{self.address.base_url}: no answer to a trial request: {cause.rstrip('.')}. Nothing was sent but that."
        )

    # ---- one request ----

    async def _answer(self, server: Server, request: Request) -> Answer | None:
        """None: the engine was stopped before it was answered."""
        try:
            prepared = await asyncio.get_running_loop().run_in_executor(self._pool, self._prepare, request)
            reply = await self._reply(server, prepared.fields)
            logprobs = await self._logprobs(server, request, reply)
            return self._completion(request, prepared, reply, logprobs)
        except GroupError as error:
            return Failure(request.id, error)
        except StoppedError:
            return None

    def _prepare(self, request: Request) -> Prepared:
        """In a thread. Raises PhotoError."""
        if request.photo is None:
            return Prepared(self._fields(request, None), prompt_tokens=self._counted(request, None))
        with decoded_photo(request.photo, self.settings.photo.exif) as photo:
            try:
                picture = resized(photo.image, self.settings.photo)
            except ValueError as error:  # the photo is narrower than the processor allows
                name = request.photo if isinstance(request.photo, Path) else "the picture in memory"
                raise PhotoError(f"{name}: {error}", "leave the photo out or crop it") from error
        fields = self._fields(request, data_url(picture, self._format or "PNG"))
        return Prepared(fields, photo.rotated, self._counted(request, visual_tokens(picture)))

    def _fields(self, request: Request, photo_url: str | None) -> Body:
        switches = self._check.switches if self._check else {}
        fields = {"messages": messages(request.prompt, photo_url)}
        fields |= sampling_fields(self.settings.sampling, request.key)
        return fields | ({"chat_template_kwargs": switches} if switches else {})

    def _counted(self, request: Request, visual: int | None) -> int | None:
        return self._check.tokens(request.prompt, visual) if self._check else None

    async def _logprobs(self, server: Server, request: Request, reply: Reply) -> tuple[float, ...]:
        """ln P of each candidate; nothing where the server cannot give it."""
        if not request.candidates or not self._scores:
            return ()
        if reply.prompt_tokens is None:
            raise GenerationError("the server's reply does not say how many tokens the prompt has")
        asked = messages(request.prompt)
        scored = await asyncio.gather(*(self._scored(server, asked, line) for line in request.candidates))
        return tuple(
            line_logprobs.log_likelihood(one, line, reply.prompt_tokens)
            for one, line in zip(scored, request.candidates, strict=True)
        )

    async def _scored(self, server: Server, asked: Sequence[Body], line: str | None) -> Reply:
        return await self._reply(server, line_logprobs.scored(asked, line))

    async def _reply(self, server: Server, fields: Body) -> Reply:
        return Reply.read(await server.complete(fields), self.address.hide)

    def _completion(
        self, request: Request, prepared: Prepared, reply: Reply, logprobs: tuple[float, ...]
    ) -> Completion:
        if self._check and prepared.prompt_tokens is not None:
            warning = self._check.difference(prepared.prompt_tokens, reply.prompt_tokens)
            self._warnings += [warning] if warning else []
        tokens = reply.completion_tokens
        if tokens is None:
            tokens = self.settings.sampling.max_new_tokens if reply.finish_reason == "length" else 0
        return Completion(request.id, reply.text, reply.finish_reason, tokens, prepared.rotated, logprobs)


def check_unused(settings: EngineSettings) -> None:
    """Raises UsageError for settings of an engine that runs the model itself: they would do nothing."""
    for name in LOCAL:
        if getattr(settings, name) != type(settings).model_fields[name].default:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is for an engine of this machine, and --endpoint is a server. Leave it out.")
