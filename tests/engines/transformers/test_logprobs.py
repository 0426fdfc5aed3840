"""Log-likelihoods of candidates: the probability of whole first lines, in any batch."""

import math
from collections.abc import Callable

import pytest
import torch

from yanshou.engines import Completion, Prompt, Request
from yanshou.engines.transformers.engine import TransformersEngine

Build = Callable[..., TransformersEngine]

CANDIDATES = ("通过", "不通过", "a")
QUESTIONS = [Prompt("你是验收员。", "图片_1: 无关图片×1。" * repeat) for repeat in (1, 4, 2, 9, 3)]


def logprobs(engine: TransformersEngine) -> list[tuple[float, ...]]:
    requests = [Request(at, prompt, None, candidates=CANDIDATES) for at, prompt in enumerate(QUESTIONS)]
    answers = sorted(engine.generate(requests), key=lambda answer: answer.id)
    assert all(isinstance(answer, Completion) for answer in answers)
    return [answer.logprobs for answer in answers]  # type: ignore[union-attr]


@torch.inference_mode()
def test_a_line_is_as_likely_as_its_tokens_one_after_another(engine: Build) -> None:
    running = engine()
    tokenizer = running.processor.tokenizer
    for prompt, found in zip(QUESTIONS, logprobs(running), strict=True):
        ids = running.prepare(Request(0, prompt, None)).ids.tolist()
        for line, logprob in zip(CANDIDATES, found, strict=True):
            so_far, total = list(ids), 0.0
            for token in tokenizer(f"{line}\n")["input_ids"]:
                scores = running.model(input_ids=torch.tensor([so_far])).logits[0, -1].double()
                total += float(scores.log_softmax(-1)[token])
                so_far.append(token)
            assert logprob == pytest.approx(total, abs=1e-4)


def test_other_rows_of_the_batch_change_nothing(engine: Build) -> None:
    together, alone = logprobs(engine(batch_size=8)), logprobs(engine(batch_size=1))
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert len({round(first, 3) for first, *_ in alone}) == len(QUESTIONS), "the result depends on the prompt"
    assert all(math.exp(first) + math.exp(second) < 1 for first, second, _ in alone)


def test_a_request_without_candidates_has_no_logprobs(engine: Build) -> None:
    requests = [Request(0, QUESTIONS[0], None), Request(1, QUESTIONS[1], None, candidates=CANDIDATES[:1])]
    answers = sorted(engine().generate(requests), key=lambda answer: answer.id)
    assert [len(answer.logprobs) for answer in answers] == [0, 1]  # type: ignore[union-attr]
