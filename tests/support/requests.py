"""Requests for the engines and their answers: photos of ten sizes, two prompts, photos of the demo world."""

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from support.checkpoints import settings
from support.photos import noise
from yanshou.engines import Completion, Engine, Failure, Prompt, Request
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.missions import load_missions
from yanshou.missions.prompts import summary_prompt, verdict_prompt
from yanshou.settings import PromptSettings
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.world.draw import draw
from yanshou.world.jobs import random_job
from yanshou.world.scene import random_scene

SIZES = [(64, 64), (96, 160), (200, 90), (64, 64), (33, 47), (300, 300), (128, 64), (70, 210), (96, 96), (96, 160)]
SHORT, LONG = Prompt("看图。", "写一行。"), Prompt("你是助手，把照片写成一行。", "请写出照片中可见的全部内容。" * 3)

Answers = dict[int, Completion | Failure]  # by request id


def photos(count: int = 10, prompt: Prompt | None = None) -> list[Request]:
    """Photos of ten sizes. Without `prompt` the halves have two prompts, so that they cannot share a prefill batch."""
    prompts = [prompt or (SHORT if number < count // 2 else LONG) for number in range(count)]
    return [
        Request(number, prompts[number], noise(number, *SIZES[number % len(SIZES)]), f"photo {number}")
        for number in range(count)
    ]


def mixed() -> list[Request]:
    """Ten photos, and four prompts without a photo between them."""
    text = [Request(20 + number, (SHORT, LONG)[number % 2], None, f"text {number}") for number in range(4)]
    return [*photos()[:4], *text[:2], *photos()[4:], *text[2:]]


def drawn_photos(count: int) -> list[Request]:
    """Photos of the demo world, with the prompts of all missions in turn."""
    rng, prompts = Random("requests"), [summary_prompt(mission, PromptSettings()) for mission in load_missions()]
    return [
        Request(number, prompts[number % len(prompts)], draw(random_scene(rng), rng), f"drawn {number}")
        for number in range(count)
    ]


def drawn_jobs(count: int) -> list[Request]:
    """Jobs of the demo world to be judged, with the likelihood of both verdicts asked for."""
    rng, missions = Random("jobs"), list(load_missions())
    jobs = [random_job(rng, missions[number % len(missions)]) for number in range(count)]
    return [
        Request(number, verdict_prompt(job.mission, job.lines()), None, f"job {number}", candidates=(PASS, FAIL))
        for number, job in enumerate(jobs)
    ]


def answers(engine: Engine, requests: Iterable[Request]) -> Answers:
    return {answer.id: answer for answer in engine.generate(requests)}


def continuous(folder: Path, requests: Iterable[Request], batch_size: int | None = None, **sampling: Any) -> Answers:
    """The answers of a new continuous engine."""
    given = settings(folder, **sampling).model_copy(update={"batch_size": batch_size})
    return answers(ContinuousEngine(given), requests)
