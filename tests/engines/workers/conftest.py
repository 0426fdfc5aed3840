"""Crews of scripted workers in threads."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.many_workers import texts
from support.thread_place import ThreadPlace

from yanshou.engines.base import Completion
from yanshou.engines.scripted import ScriptedEngine
from yanshou.engines.workers import calls, seat, worker
from yanshou.engines.workers.engine import WorkersEngine
from yanshou.engines.workers.protocols import WorkerLostError
from yanshou.settings import EngineSettings, WorkerSettings


class Inner(ScriptedEngine):
    """The engine of each worker. Its answer to a poisonous photo is its death."""

    poison: ClassVar[set[str]] = set()  # names of photos; * is every photo
    before_complete: ClassVar[Callable[["Inner", list[Completion]], None]] = staticmethod(lambda engine, batch: None)

    def complete(self, batch: Any) -> Any:
        type(self).before_complete(self, batch)
        deadly = {self.script.answers.get(name) for name in type(self).poison}
        if "*" in type(self).poison or any(one.text.removesuffix("<|im_end|>") in deadly for one in batch):
            raise WorkerLostError("killed by signal 9")
        return super().complete(batch)


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> type[Inner]:
    """The class of the workers' engines in this test."""
    own: type[Inner] = type("Own", (Inner,), {})
    monkeypatch.setattr(worker, "load_engine", own)
    monkeypatch.setattr(worker, "MAX_LINGER_S", 0.02)
    monkeypatch.setattr(worker, "QUIET_S", 0.1)
    monkeypatch.setattr(calls, "TICK_S", 0.05)
    monkeypatch.setattr(seat, "MIN_SLACK", 4)
    return own


@pytest.fixture
def engine(inner: type[Inner], script: Callable[..., Path]) -> Iterator[Callable[..., WorkersEngine]]:
    """Makes an engine with workers in threads. Its place is `engine.place`; `change` and `short` are that place's."""
    made: list[WorkersEngine] = []

    def make(workers: int = 2, answers: int = 200, timeout: float = 60, **options: Any) -> WorkersEngine:
        place_options = {name: options.pop(name) for name in ("change", "short") if name in options}
        mixed = options.pop("mixed", False)
        given = EngineSettings(
            checkpoint=str(script(texts(answers), decode=options.pop("decode", False), **options)), engine="scripted",
            batch_size=4, workers=WorkerSettings(workers=workers, worker_timeout=timeout, mixed_workers=mixed),
        )  # fmt: skip
        place = ThreadPlace(given, workers, **place_options)
        made.append(WorkersEngine(given, place))
        made[-1].place = place  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for one in made:
        one.close()
