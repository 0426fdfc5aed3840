"""Promises of the state on the device, seen through the engine."""

from pathlib import Path

import pytest
from support.checkpoints import settings
from support.requests import answers, continuous, photos

from yanshou.engines import Completion
from yanshou.engines.continuous import scheduler
from yanshou.engines.continuous.engine import ContinuousEngine


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
