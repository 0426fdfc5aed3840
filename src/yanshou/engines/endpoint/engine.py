"""The endpoint engine: an OpenAI-compatible server answers, vLLM for example.

    request ─ decoded, upright, resized, encoded (threads) ─ chat completion (event loop) ─ answer
              └─ picture.py                                  └─ asker.py, client.py         └─ doubt.py: the photo's
                                                                                               fault, or the server's?

Nothing here knows a model family, but for the optional check of prompts (`--checkpoint`). The same request may get
another answer from a server: no promise of the same line.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from yanshou.engines.base import Answer, Completion, Failure, Request, RunPlan
from yanshou.engines.batching import num_threads
from yanshou.engines.endpoint import line_logprobs
from yanshou.engines.endpoint.address import Address
from yanshou.engines.endpoint.asker import Asker
from yanshou.engines.endpoint.background import Background
from yanshou.engines.endpoint.body import Body
from yanshou.engines.endpoint.client import Server, check_installed
from yanshou.engines.endpoint.doubt import Doubt
from yanshou.engines.endpoint.gate import Patience, StoppedError
from yanshou.engines.endpoint.picture import Format, data_url, resized, visual_tokens
from yanshou.engines.endpoint.prompt_check import PromptCheck
from yanshou.engines.endpoint.reply import Reply
from yanshou.engines.endpoint.trials import Trials
from yanshou.errors import GroupError, PhotoError, UsageError
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
        return {"model": self.model, **({"chat_template_kwargs": self._switches} if self._switches else {})}

    def environment(self) -> dict[str, Any]:
        check = {"checkpoint_folder": self.settings.checkpoint} if self.settings.checkpoint else {}
        asked = {"picture": self._format} if self._run and self._run.photos else {"p_pass": bool(self._scores)}
        packages = {"openai": version("openai")}
        return {"engine": "endpoint", "server": self.address.base_url, **self._facts, **asked, **check, **packages}

    @property
    def _switches(self) -> dict[str, bool]:
        """Variables of the chat template, where a local one was given."""
        return self._check.switches if self._check else {}

    # ---- a run ----

    @property
    def in_flight(self) -> int:
        return self.concurrency + num_threads()

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
        with self._session() as (loop, asker):
            try:
                loop.run(self._meet(asker, run))
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
        with self._session() as (loop, asker):
            doubt = Doubt(lambda: loop.run(self._trial_unless_stopped(asker)))
            while True:
                while self._may_ask(asked, number) and (request := next(source, None)):
                    future = loop.start(self._answer(asker, request))
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
    def _session(self) -> Iterator[tuple[Background, Asker]]:
        """A connected server. What is unfinished at the end of the context is cancelled."""
        with (
            ThreadPoolExecutor(num_threads(), thread_name_prefix="prepare") as self._pool,
            Background("endpoint") as loop,
        ):
            server = Server(self.address, self.model, self.concurrency, self.patience, lambda: self._stopped)
            loop.run(server.open())
            try:
                yield loop, Asker(server, self.settings.sampling, self._switches)
            finally:
                self._pool.shutdown(wait=False, cancel_futures=True)
                if loop.running:
                    loop.cancel()
                    loop.run(server.close())

    # ---- before the first request ----

    async def _meet(self, asker: Asker, run: RunPlan) -> None:
        server = asker.server
        served = (await server.models()).get(self.model, {})
        facts = {"version": await server.version(), **{name: served.get(name) for name in SERVED}}
        self._facts = {
            f"server_{name}": self.address.words(fact) if isinstance(fact, str) else fact
            for name, fact in facts.items()
            if isinstance(fact, str | int)
        }
        if run.photos and self._format is None:
            self._format = await self._trials(asker).format_taken()
        elif not run.photos and self._scores is None:
            self._scores = await self._trials(asker).can_score()

    def _trials(self, asker: Asker) -> Trials:
        assert self._run is not None, "prepare_run comes first"
        return Trials(asker, self._run.trial_prompt or self._run.prompt, self.settings.photo)

    async def _trial_unless_stopped(self, asker: Asker) -> None:
        """A trial like the photos. Proves nothing where the engine was stopped: few failures are left to come."""
        with suppress(StoppedError):
            await self._trials(asker).ask(self._format)

    # ---- one request ----

    async def _answer(self, asker: Asker, request: Request) -> Answer | None:
        """None: the engine was stopped before it was answered."""
        try:
            prepared = await asyncio.get_running_loop().run_in_executor(self._pool, self._prepare, asker, request)
            reply = await asker.reply(prepared.fields)
            logprobs = await asker.logprobs(request, reply) if request.candidates and self._scores else ()
            return self._completion(request, prepared, reply, logprobs)
        except GroupError as error:
            return Failure(request.id, error)
        except StoppedError:
            return None

    def _prepare(self, asker: Asker, request: Request) -> Prepared:
        """In a thread. Raises PhotoError."""
        if request.photo is None:
            return Prepared(asker.fields(request.prompt, request.key, None), prompt_tokens=self._counted(request, None))
        with decoded_photo(request.photo, self.settings.photo.exif) as photo:
            try:
                picture = resized(photo.image, self.settings.photo)
            except ValueError as error:  # the photo is narrower than the processor allows
                name = request.photo if isinstance(request.photo, Path) else "the picture in memory"
                raise PhotoError(f"{name}: {error}", "leave the photo out or crop it") from error
        fields = asker.fields(request.prompt, request.key, data_url(picture, self._format or "PNG"))
        return Prepared(fields, photo.rotated, self._counted(request, visual_tokens(picture)))

    def _counted(self, request: Request, visual: int | None) -> int | None:
        return self._check.tokens(request.prompt, visual) if self._check else None

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
