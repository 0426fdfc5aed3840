"""Asks a server for chat completions, as the settings of a run want them, and reads its replies."""

import asyncio
from collections.abc import Mapping

from yanshou.engines.base import Request
from yanshou.engines.endpoint import line_logprobs
from yanshou.engines.endpoint.body import Body, messages, sampling_fields
from yanshou.engines.endpoint.client import Server
from yanshou.engines.endpoint.reply import Reply
from yanshou.errors import GenerationError
from yanshou.schema.prompt import Prompt
from yanshou.settings import SamplingSettings


class Asker:
    """`switches`: variables of the chat template. What waits for the server raises what `Server.complete` raises."""

    def __init__(self, server: Server, sampling: SamplingSettings, switches: Mapping[str, bool]) -> None:
        self.server, self._sampling, self._switches = server, sampling, dict(switches)

    def fields(self, prompt: Prompt, key: str, photo_url: str | None) -> Body:
        """What is sent for a prompt and its photo. `key`: names the photo's random stream."""
        fields = {"messages": messages(prompt, photo_url)} | sampling_fields(self._sampling, key)
        return fields | ({"chat_template_kwargs": self._switches} if self._switches else {})

    async def reply(self, fields: Body) -> Reply:
        return Reply.read(await self.server.complete(fields), self.server.address.hide)

    async def scored(self, prompt: Prompt, line: str | None) -> Reply:
        """The reply that holds the likelihoods of the prompt's tokens, and of those of a line behind it."""
        return await self.reply(line_logprobs.scored(messages(prompt), line))

    async def logprobs(self, request: Request, reply: Reply) -> tuple[float, ...]:
        """ln P of each candidate of a request that got this reply."""
        if reply.prompt_tokens is None:
            raise GenerationError("the server's reply does not say how many tokens the prompt has")
        scored = await asyncio.gather(*(self.scored(request.prompt, line) for line in request.candidates))
        return tuple(
            line_logprobs.log_likelihood(one, line, reply.prompt_tokens)
            for one, line in zip(scored, request.candidates, strict=True)
        )
