"""Engines with workers in threads, as tests use them: their requests, their place, what they answered."""

from collections.abc import Callable
from pathlib import Path

from support.thread_place import ThreadPlace
from yanshou.engines.base import Answer, Completion, Engine, Request, RunPlan
from yanshou.engines.workers.engine import WorkersEngine
from yanshou.schema.prompt import Prompt

Make = Callable[..., WorkersEngine]
PROMPT = Prompt("system", "user")
RUN = RunPlan(PROMPT, photos=True, earlier=())


def requests(count: int, first: int = 0) -> list[Request]:
    return [Request(number, PROMPT, Path(f"/photos/{number}.jpg")) for number in range(first, first + count)]


def texts(count: int) -> dict[str, str]:
    return {f"{number}.jpg": f"标签/{number}×1" for number in range(count)}


def place(engine: WorkersEngine) -> ThreadPlace:
    return engine.place  # type: ignore[attr-defined, no-any-return]


def run(engine: Engine, given: list[Request]) -> list[Answer]:
    engine.prepare_run(RUN)
    return list(engine.generate(given))


def written(answers: list[Answer]) -> dict[int, str]:
    """Each answer's text without its end, or the step of its error; no request may be answered twice."""
    assert len({answer.id for answer in answers}) == len(answers)
    return {
        answer.id: answer.text.removesuffix("<|im_end|>") if isinstance(answer, Completion) else answer.error.step
        for answer in answers
    }


def expected(count: int, **others: str) -> dict[int, str]:
    return dict(enumerate(texts(count).values())) | {int(name[1:]): step for name, step in others.items()}
