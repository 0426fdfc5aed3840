"""What a server is tried with before a run: what every request would fail with ends the run there. `Doubt` uses it."""

import math

from PIL import Image

from yanshou.engines.endpoint import line_logprobs
from yanshou.engines.endpoint.asker import Asker
from yanshou.engines.endpoint.picture import FORMATS, Format, data_url, resized
from yanshou.errors import GenerationError, RunError
from yanshou.schema.prompt import Prompt
from yanshou.settings import PhotoSettings


class Trials:
    """Trial requests with the prompt of a run."""

    def __init__(self, asker: Asker, prompt: Prompt, photo: PhotoSettings) -> None:
        self._asker, self._prompt, self._photo = asker, prompt, photo

    async def ask(self, kind: Format | None) -> None:
        """One request with a grey picture of the largest size, or with none. Raises GenerationError: no answer."""
        side = math.isqrt(self._photo.max_pixels)
        grey = Image.new("RGB", (side, side), "grey")
        url = data_url(resized(grey, self._photo), kind) if kind else None
        reply = await self._asker.reply(self._asker.fields(self._prompt, "", url))
        if reply.finish_reason == "stop":
            _ = reply.text

    async def format_taken(self) -> Format:
        """The first picture format in which the server answers. Raises RunError."""
        causes = []
        for kind in FORMATS:
            try:
                await self.ask(kind)
            except GenerationError as error:
                causes.append(str(error))
            else:
                return kind
        raise self._no_answer(causes[-1])

    async def can_score(self) -> bool:
        """Whether the server scores a prompt, and an open-ended line behind it. Raises RunError: it answers nothing."""
        try:
            await self.ask(None)
        except GenerationError as error:
            raise self._no_answer(str(error)) from None
        try:
            whole = line_logprobs.prompt_ids(await self._asker.scored(self._prompt, None))
            with_line = await self._asker.scored(self._prompt, line_logprobs.PROBE)
            line_logprobs.log_likelihood(with_line, line_logprobs.PROBE, len(whole) + 1)
        except GenerationError:
            return False
        return line_logprobs.prompt_ids(with_line)[: len(whole)] == whole

    def _no_answer(self, cause: str) -> RunError:
        return RunError(
            f"{self._asker.server.address.base_url}: no answer to a trial request: {cause.rstrip('.')}. "
            "Nothing was sent but that."
        )
