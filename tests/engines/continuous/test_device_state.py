"""Promises of the state on the device, seen through the engine: prefixes are kept apart, slots are released."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.checkpoints import noise, settings
from support.photo_requests import Answers, answers, continuous, photos

from yanshou.engines import Completion, Prompt, Request
from yanshou.engines.continuous import scheduler
from yanshou.engines.continuous.capacity import MAX_PREFIXES
from yanshou.engines.continuous.engine import ContinuousEngine


def test_prefixes_of_equal_length_are_kept_apart_and_only_a_few_are_cached(
    tiny: Path, reference: Callable[..., Answers]
) -> None:
    prompts = [Prompt(letter, "写一行。") for letter in "abcdef"]
    requests = [Request(number, prompts[number % 6], noise(number, 64, 64), str(number)) for number in range(12)]
    engine = ContinuousEngine(settings(tiny))
    assert len({engine.prepare(request).prefix_len for request in requests}) == 1
    assert answers(engine, requests) == reference(requests)
    assert engine.stats().cached_prefixes == MAX_PREFIXES


def test_an_answer_that_the_host_ends_leaves_its_slot_inactive(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device alone would continue to the token limit."""
    whole = continuous(tiny, photos(20), seed=1, temperature=1.0)
    monkeypatch.setattr(scheduler, "is_repeating", lambda tokens: len(tokens) == 8)
    engine = ContinuousEngine(settings(tiny, seed=1, temperature=1.0))
    found = answers(engine, photos(20))
    for number, answer in found.items():
        unbroken = whole[number]
        assert isinstance(answer, Completion)
        assert isinstance(unbroken, Completion)
        assert unbroken.text.startswith(answer.text.rstrip("�"))  # cut inside a character
        assert answer.tokens == min(8, unbroken.tokens)
    reasons = {answer.finish_reason for answer in found.values() if isinstance(answer, Completion)}
    assert reasons == {"stop", "repetition"}
    assert engine.stats().active_slots == 0
