"""ln P that a given line is the whole first line of an answer, from vLLM's `prompt_logprobs`.

    system, user, assistant "通过⏎" (open-ended)  →  prompt_logprobs [null, {"151644": …}, …, {"100124": …}, {"198": …}]
                                                      the last tokens, beyond the prompt's, are those of the line

A sum over those tokens, as `yanshou.engines.transformers.logprobs` computes it. Servers without `prompt_logprobs`
refuse the field or ignore it; chat templates may change an open-ended line. `check` finds out with one prompt.
"""

import math
from collections.abc import Sequence
from typing import Any

from yanshou.engines.endpoint.reply import Reply, TokenLogprob
from yanshou.errors import GenerationError

WHY = "--threshold needs p_pass, from the likelihoods of whole first lines (vLLM's prompt_logprobs)"
CURE = "Leave --threshold out, or judge with vLLM or with a checkpoint"
PROBE = "通过"  # a line whose likelihood is asked for once, to see what comes
CUT_CHARACTER = "\ufffd"  # in the text of a token that is a part of a character
ROUNDING = 1e-3  # by which ln P may exceed 0

Tokens = list[tuple[int, TokenLogprob]]


def scored(messages: Sequence[dict[str, Any]], line: str | None) -> dict[str, Any]:
    """The fields of a request whose prompt is scored: the messages, then the line, if any, and its line break."""
    fields = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}  # 0: no other tokens than the prompt's
    if line is None:
        return {"messages": list(messages), **fields}
    answer = {"role": "assistant", "content": f"{line}\n"}
    open_ended = {"add_generation_prompt": False, "continue_final_message": True}
    return {"messages": [*messages, answer], **fields, **open_ended}


def prompt_ids(reply: Reply) -> list[int]:
    """The prompt's token ids but for the first. Raises GenerationError where the server does not give them."""
    return [token for token, _ in _tokens(reply, 1)]


def log_likelihood(reply: Reply, line: str, prompt_tokens: int) -> float:
    """ln P of the line, which follows `prompt_tokens` tokens. Raises GenerationError."""
    tokens = _tokens(reply, prompt_tokens)
    text = "".join(scored.decoded_token or "" for _, scored in tokens)
    if not text.endswith("\n") or (text != f"{line}\n" and CUT_CHARACTER not in text):
        raise _none(f"it scored {text!r} in place of {line!r} and its line break")
    return sum(min(scored.logprob, 0.0) for _, scored in tokens)


def _tokens(reply: Reply, begin: int) -> Tokens:
    """The prompt's tokens from this position, each with its own logprob."""
    positions = reply.prompt_logprobs
    if positions is None:
        raise _none("it sent none")
    if len(positions) <= begin:
        raise _none(f"it scored {len(positions)} tokens of a prompt that has more than {begin}")
    if not all(positions[begin:]):
        raise _none("it left tokens out, as old versions with prefix caching do")
    tokens = [next(iter(position.items())) for position in positions[begin:] if position]
    if not all(math.isfinite(one.logprob) and one.logprob <= ROUNDING for _, one in tokens):
        raise _none("it sent a number that is no logarithm of a probability")
    return tokens


def _none(cause: str) -> GenerationError:
    return GenerationError(f"the server gives no likelihood of a given line: {cause}", "judge the group again")
