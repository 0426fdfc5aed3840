"""`yanshou.engines.endpoint.line_logprobs`: ln P of a first line, from the reply that vLLM gives."""

import json
from typing import Any

import pytest

from yanshou.engines.endpoint.line_logprobs import log_likelihood, prompt_ids, scored
from yanshou.engines.endpoint.reply import Reply
from yanshou.errors import GenerationError

MESSAGES = [{"role": "system", "content": "系统"}, {"role": "user", "content": "用户"}]
PASS_LINE = [(7, "通过", -0.25), (8, "\n", -0.5)]


def reply(*tokens: Any) -> Reply:
    """A reply about a prompt of three tokens, and these: `(id, text, logprob)` or None."""
    prompt = [None, {"5": {"logprob": -1.0, "rank": 3, "decoded_token": "系"}}, {"6": {"logprob": -2.0}}]
    more = [token and {token[0]: {"logprob": token[2], "rank": 1, "decoded_token": token[1]}} for token in tokens]
    body = {"choices": [{"message": {"content": ""}}], "prompt_logprobs": [*prompt, *more]}
    return Reply.read(json.dumps(body).encode())


def test_the_request_scores_an_open_ended_line_with_its_line_break() -> None:
    assert scored(MESSAGES, "通过") == {
        "messages": [*MESSAGES, {"role": "assistant", "content": "通过\n"}], "max_tokens": 1, "temperature": 0.0,
        "prompt_logprobs": 0, "add_generation_prompt": False, "continue_final_message": True,
    }  # fmt: skip
    assert scored(MESSAGES, None)["messages"] == MESSAGES


def test_ln_p_is_the_sum_over_the_tokens_of_the_line() -> None:
    assert log_likelihood(reply(*PASS_LINE), "通过", 3) == -0.75
    assert prompt_ids(reply(*PASS_LINE)) == [5, 6, 7, 8]


def test_a_line_break_may_be_part_of_a_token_and_a_token_part_of_a_character() -> None:
    assert log_likelihood(reply((7, "通过\n", -0.5)), "通过", 3) == -0.5
    assert log_likelihood(reply((7, "\ufffd", -0.5), (8, "\ufffd过", -0.5), (9, "\n", 0.0)), "通过", 3) == -1.0


def test_other_likely_tokens_of_a_position_are_passed_over() -> None:
    body = json.loads(reply(*PASS_LINE).model_dump_json())
    body["prompt_logprobs"][3]["99"] = {"logprob": -0.01, "rank": 1, "decoded_token": "不"}
    assert log_likelihood(Reply.read(json.dumps(body).encode()), "通过", 3) == -0.75


@pytest.mark.parametrize(
    ("tokens", "cause"),
    [
        ([], "scored 3 tokens of a prompt that has more than 3"),
        ([None, (8, "\n", -0.5)], "left tokens out"),
        ([(7, "通过", -0.25)], r"scored '通过' in place of '通过' and its line break"),
        ([(7, "不通过", -0.25), (8, "\n", -0.5)], "in place of '通过'"),
        ([(7, "通过", 0.7), (8, "\n", -0.5)], "no logarithm of a probability"),
    ],
)
def test_anything_else_is_no_likelihood(tokens: list[Any], cause: str) -> None:
    with pytest.raises(GenerationError, match=cause):
        log_likelihood(reply(*tokens), "通过", 3)


def test_a_server_that_ignores_the_question_gives_none() -> None:
    silent = Reply.read(b'{"choices": [{"message": {"content": "x"}}]}')
    with pytest.raises(GenerationError, match="it sent none"):
        log_likelihood(silent, "通过", 3)
