"""Requests for the tiny checkpoint: photos of many sizes, prompts without a photo, and what an engine answers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.checkpoints import noise, settings
from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.base import Engine
from yanshou.engines.continuous.engine import ContinuousEngine

Answers = dict[int, Completion | Failure]  # by request id

SIZES = [(64, 64), (96, 160), (200, 90), (64, 64), (33, 47), (300, 300), (128, 64), (70, 210), (96, 96), (96, 160)]
SHORT, LONG = Prompt("看图。", "写一行。"), Prompt("你是助手，把照片写成一行。", "请写出照片中可见的全部内容。" * 3)


def photos(count: int = 10, prompt: Prompt | None = None) -> list[Request]:
    """Photos of many sizes; the two halves have different prompts, so that they cannot share a prefill batch."""
    prompts = [prompt or (SHORT if number < count // 2 else LONG) for number in range(count)]
    return [
        Request(number, prompts[number], noise(number, *SIZES[number % len(SIZES)]), f"photo {number}")
        for number in range(count)
    ]


def mixed() -> list[Request]:
    """Photos, and between them prompts without a photo."""
    text = [Request(20 + number, (SHORT, LONG)[number % 2], None, f"text {number}") for number in range(4)]
    return [*photos()[:4], *text[:2], *photos()[4:], *text[2:]]


def answers(engine: Engine, requests: Iterable[Request]) -> Answers:
    return {answer.id: answer for answer in engine.generate(requests)}


def continuous(folder: Path, requests: Iterable[Request], batch_size: int | None = None, **sampling: Any) -> Answers:
    """What a new continuous engine answers."""
    given = settings(folder, **sampling).model_copy(update={"batch_size": batch_size})
    return answers(ContinuousEngine(given), requests)
