"""A server's reply to one chat completion, read tolerantly: unknown fields are ignored, missing ones have words.

{"choices": [{"message": {"content": "无关图片×1"}, "finish_reason": "stop"}],
 "usage": {"prompt_tokens": 812, "completion_tokens": 6}}
"""

from collections.abc import Callable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from yanshou.engines.base import FinishReason
from yanshou.errors import GenerationError
from yanshou.text import excerpt

READ = 100_000  # bytes of an unusable reply that are searched for secrets
NO_REPLY = "look at the server's log; the next run tries the group again"
ENDED: dict[str | None, FinishReason] = {"stop": "stop", "length": "length"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Message(_Part):
    content: str | None = None
    refusal: str | None = None  # why there is no content
    reasoning: str | None = None  # vLLM; what a reasoning parser took off the content
    reasoning_content: str | None = None  # others


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Part):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class TokenLogprob(_Part):
    """The natural logarithm of a prompt token's probability, after the tokens before it."""

    logprob: float
    decoded_token: str | None = None


class Reply(_Part):
    """The fields that are used."""

    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: _Usage | None = None
    prompt_logprobs: tuple[dict[int, TokenLogprob] | None, ...] | None = None  # vLLM, where it was asked for

    @classmethod
    def read(cls, body: bytes, hide: Callable[[str], str] = str) -> Self:
        """Raises GenerationError for anything but a chat completion. `hide` takes secrets out of what it shows."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, found["loc"]))
            cause = f"{where}: {found['msg']}" if where else found["msg"]
            begin = excerpt(hide(body[:READ].decode(errors="replace"))[:200])
            raise GenerationError(f"the server's reply is not a chat completion ({cause}): {begin}", NO_REPLY) from None

    @property
    def text(self) -> str:
        """The answer as the server gives it, most often without special tokens, behind the reasoning if there is any.

        Raises GenerationError where there is none.
        """
        message = self.choices[0].message
        reasoning = message.reasoning or message.reasoning_content
        if reasoning:
            closed = "" if message.content is None else f"\n</think>\n\n{message.content}"
            return f"<think>\n{reasoning}{closed}"
        if not message.content:
            said = f": {excerpt(message.refusal)}" if message.refusal else f"; it ended with {self._reason!r}"
            raise GenerationError(f"the server's reply holds no text{said}", NO_REPLY)
        return message.content

    @property
    def finish_reason(self) -> FinishReason:
        """Raises GenerationError for an end that is neither the model's nor the limit's."""
        if self._reason not in ENDED:
            raise GenerationError(f"the server ended the answer with {excerpt(self._reason)}", NO_REPLY)
        return ENDED[self._reason]

    @property
    def prompt_tokens(self) -> int | None:
        return self.usage.prompt_tokens if self.usage else None

    @property
    def completion_tokens(self) -> int | None:
        return self.usage.completion_tokens if self.usage else None

    @property
    def _reason(self) -> str | None:
        return self.choices[0].finish_reason
