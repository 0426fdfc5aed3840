"""Promises of the prefix cache, seen through the engine: every request gets its own prefix, and few are kept."""

from collections.abc import Callable
from pathlib import Path

from support.checkpoints import settings
from support.photos import noise
from support.requests import Answers, answers

from yanshou.engines import Prompt, Request
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
