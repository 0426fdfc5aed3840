"""Requests for the engines: photos of many sizes, prompts of two lengths, photos of the demo world."""

from random import Random

from support.checkpoints import noise
from yanshou.engines import Prompt, Request
from yanshou.missions import load_missions
from yanshou.missions.prompts import summary_prompt, verdict_prompt
from yanshou.settings import PromptSettings
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.world.draw import draw
from yanshou.world.jobs import random_job
from yanshou.world.scene import random_scene

SIZES = [(64, 64), (96, 160), (200, 90), (64, 64), (33, 47), (300, 300), (128, 64), (70, 210), (96, 96), (96, 160)]
SHORT, LONG = Prompt("看图。", "写一行。"), Prompt("你是助手，把照片写成一行。", "请写出照片中可见的全部内容。" * 3)


def photos(count: int = 10) -> list[Request]:
    """Photos of ten sizes; the first half has the short prompt, the second half the long one."""
    return [
        Request(at, SHORT if at < count // 2 else LONG, noise(at, *SIZES[at % len(SIZES)]), f"photo {at}")
        for at in range(count)
    ]


def mixed() -> list[Request]:
    """Ten photos, and four prompts without a photo between them."""
    text = [Request(20 + at, (SHORT, LONG)[at % 2], None, f"text {at}") for at in range(4)]
    return [*photos()[:4], *text[:2], *photos()[4:], *text[2:]]


def drawn_photos(count: int) -> list[Request]:
    """Photos of the demo world, with the prompts of all missions in turn."""
    rng, prompts = Random("requests"), [summary_prompt(mission, PromptSettings()) for mission in load_missions()]
    return [Request(at, prompts[at % len(prompts)], draw(random_scene(rng), rng), f"drawn {at}") for at in range(count)]


def drawn_jobs(count: int) -> list[Request]:
    """Jobs of the demo world to be judged, with the likelihood of both verdicts asked for."""
    rng, missions = Random("jobs"), list(load_missions())
    jobs = [random_job(rng, missions[at % len(missions)]) for at in range(count)]
    return [
        Request(at, verdict_prompt(job.mission, job.lines()), None, f"job {at}", candidates=(PASS, FAIL))
        for at, job in enumerate(jobs)
    ]
