"""Promises of several continuous engines in one run: one capacity, also after an out-of-memory and after a death."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import settings
from support.requests import LONG, Answers, answers, continuous, photos
from support.thread_place import ThreadPlace

from yanshou.engines.base import OutOfMemoryError, RunPlan
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.workers import seat, worker
from yanshou.engines.workers.engine import WorkersEngine
from yanshou.settings import WorkerSettings

COUNT = 48
RUN = RunPlan(LONG, photos=True, earlier=())


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[ContinuousEngine]:
    """Those of the workers that have started, in the order of their start."""
    made: list[ContinuousEngine] = []

    def load(given: Any) -> ContinuousEngine:
        made.append(ContinuousEngine(given))
        return made[-1]

    monkeypatch.setattr(worker, "load_engine", load)
    monkeypatch.setattr(worker, "MAX_LINGER_S", 0.02)
    monkeypatch.setattr(seat, "MIN_SLACK", 1)
    return made


@pytest.fixture
def many(tiny: Path, engines: list[ContinuousEngine]) -> Iterator[WorkersEngine]:
    """Two workers, each of which prepares few photos ahead, so that both get some."""
    given = settings(tiny, batch_size=2).model_copy(update={"workers": WorkerSettings(workers=2)})
    place = ThreadPlace(given)
    engine = WorkersEngine(given, place)
    engine.place = place  # type: ignore[attr-defined]
    yield engine
    engine.close()


def slots(engines: list[ContinuousEngine]) -> set[int]:
    """What they have allocated, as far as they have answered anything."""
    capacities = [engine.stats().capacity for engine in engines]
    return {capacity.slots for capacity in capacities if capacity}


def one_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fifth decode step, whichever engine makes it, does not fit."""
    step, steps = ContinuousRunner.step, iter(range(1, 1_000_000))

    def limited(runner: ContinuousRunner) -> Any:
        if next(steps) == 5:
            raise OutOfMemoryError
        return step(runner)

    monkeypatch.setattr(ContinuousRunner, "step", limited)


def run(many: WorkersEngine, kill_after: int | None = None) -> Answers:
    many.prepare_run(RUN)
    if kill_after is None:
        return answers(many, photos(COUNT, LONG))
    found = {}
    for answer in many.generate(photos(COUNT, LONG)):
        found[answer.id] = answer
        if len(found) == kill_after:
            many.place.started[0].kill()  # type: ignore[attr-defined]
    return found


def test_an_out_of_memory_halves_all_workers_and_changes_no_line(
    tiny: Path, many: WorkersEngine, engines: list[ContinuousEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = continuous(tiny, photos(COUNT, LONG))
    one_out_of_memory(monkeypatch)
    assert run(many) == whole
    assert many.out_of_memory == 1
    assert slots(engines) == {8}
    assert many.environment()["slots"] == 16  # as it began
    assert run(many, kill_after=10) == whole  # the next mission, with a worker that was not there
    assert many.environment()["slots"] == 8
    assert len(engines) == 3
    assert slots(engines) == {8}
    assert [engine.out_of_memory for engine in engines] == [1, 1, 1]


def test_a_worker_that_starts_after_an_out_of_memory_plans_as_the_run_began_and_halves(
    tiny: Path, many: WorkersEngine, engines: list[ContinuousEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_out_of_memory(monkeypatch)
    assert run(many, kill_after=30) == continuous(tiny, photos(COUNT, LONG))
    assert slots(engines) == {8}
    assert [engine.environment()["slots"] for engine in engines] == [16, 16, 16]


def test_a_resume_with_workers_keeps_the_capacity_of_one_engine(
    tiny: Path, many: WorkersEngine, engines: list[ContinuousEngine]
) -> None:
    alone = ContinuousEngine(settings(tiny, batch_size=2))
    alone.prepare_run(replace(RUN, earlier=[{"engine": "continuous", "device": "cpu", "slots": 3}]))
    many.prepare_run(replace(RUN, earlier=[alone.environment()]))
    assert many.environment().items() >= alone.environment().items()
    assert answers(many, photos(COUNT, LONG)) == continuous(tiny, photos(COUNT, LONG))
    assert slots(engines) == {3}
