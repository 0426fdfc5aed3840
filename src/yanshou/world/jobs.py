"""Whole jobs of the demo world: a group of photos that passes or fails its mission's rule.

    any_job(rng, mission) ── Job(label="fail", scenes=(overview, close-up, …))

A job is built from the mission's rule itself: a passing one shows something for every requirement, a failing one shows
a forbidden thing, leaves a requirement out, or shows a condition without what it needs. The rule has the last word: a
job whose photos don't add up to the wanted label is thrown away and built anew, so any mission TOML whose patterns use
the demo world's vocabulary gets its groups.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from yanshou.errors import InputError
from yanshou.missions import Condition, Mission, Pattern, Rule
from yanshou.missions.rules import decide
from yanshou.schema.records import Label
from yanshou.schema.summary import parse
from yanshou.world.scene import (
    BLANKS,
    SCREWS,
    Device,
    Fastener,
    Item,
    Scene,
    Wide,
    fitting,
    random_device,
    random_item,
)

FAIL_SHARE = 0.4
PHOTOS = {1: 6, 2: 16, 3: 40, 4: 20, 5: 9, 6: 5, 7: 2, 8: 2}  # photos a group: weight
ATTEMPTS = 500  # to build a job of the wanted label; a few are usual
TRIES = 50  # to find something that raises a condition and does not meet it; a few are usual


@dataclass(frozen=True, slots=True)
class Job:
    """One group: its photos in order and the label that a careful person would give it."""

    mission: Mission
    label: Label
    scenes: tuple[Scene, ...]

    def lines(self) -> list[str]:
        return [scene.line() for scene in self.scenes]


def random_job(rng: Random, mission: Mission, label: Label | None = None) -> Job:
    """A job of the mission with that label; without one, two in five fail.

    InputError where the rule asks for what this world doesn't have, or cannot give the label.
    """
    label = label or ("fail" if rng.random() < FAIL_SHARE else "pass")
    for _ in range(ATTEMPTS):
        shown = _passing(rng, mission.rule) if label == "pass" else _failing(rng, mission.rule)
        job = Job(mission, label, _scenes(rng, shown))
        if _passes(mission.rule, job.lines()) == (label == "pass"):
            return job
    raise InputError(f"mission {mission.name}: the demo world cannot draw a group that should {label}")


def _passes(rule: Rule, lines: Iterable[str]) -> bool:
    return decide(rule, [parse(line) for line in lines]).passed


def _passing(rng: Random, rule: Rule) -> list[Item]:
    """Something for every requirement, and for every condition that they bring with them."""
    shown: list[Item] = []
    for wanted in rule.require:
        if not any(_shows(item, wanted) for item in shown):
            shown.append(_something(rng, rng.choice(wanted), good=True))
    for condition in rule.when:
        if _unmet(condition, shown):
            shown.append(_something(rng, rng.choice(condition.need), good=True))
    return shown


def _failing(rng: Random, rule: Rule) -> list[Item]:
    """A passing job with one thing wrong."""
    shown = _passing(rng, rule)
    flaws = ["missing"] * 2 + ["forbidden"] * (5 if rule.forbid else 0) + ["unmet"] * (5 if rule.when else 0)
    match rng.choice(flaws):
        case "missing":
            wanted = rng.choice(rule.require)
            return [item for item in shown if not _shows(item, wanted)]
        case "forbidden":
            return [*shown, _something(rng, rng.choice(rule.forbid), good=False)]
        case _:
            condition = rng.choice(rule.when)
            kept = [item for item in shown if not _shows(item, (condition.seen, *condition.need))]
            return [*kept, _unmet_item(rng, condition)]


def _unmet_item(rng: Random, condition: Condition) -> Item:
    """Something that raises the condition and does not meet it; where all that raises it meets it, the last one."""
    for _ in range(TRIES):
        item = _something(rng, condition.seen, good=False)
        if not _shows(item, condition.need):
            break
    return item


def _unmet(condition: Condition, shown: Sequence[Item]) -> bool:
    return any(_shows(item, [condition.seen]) for item in shown) and not any(
        _shows(item, condition.need) for item in shown
    )


def _shows(item: Item, patterns: Iterable[Pattern]) -> bool:
    entries = [entry.canonical() for line in item.entries() for entry in parse(f"{line}×1").entries]
    return any(pattern.matches(entry) for pattern in patterns for entry in entries)


def _something(rng: Random, pattern: Pattern, good: bool) -> Item:
    """An item whose entries match the pattern, drawn from everything that the world knows."""
    for _ in range(ATTEMPTS):
        item = _inclined(rng, good) if pattern.category == "BBU设备" else random_item(rng)
        if _shows(item, [pattern]):
            return item
    raise InputError(f"the demo world shows nothing that matches {pattern.text}")


def _inclined(rng: Random, good: bool) -> Device:
    """A device: rather without a need in a job that passes, rather with an unmet one in a job that fails."""
    return random_device(
        rng, rng.choices(("无需安装", "配备", "未配备", "装反"), (6, 6, 1, 1) if good else (2, 2, 5, 5))[0]
    )


def _scenes(rng: Random, shown: Sequence[Item]) -> tuple[Scene, ...]:
    """Spreads the items over the photos: an overview first, close-ups behind it, now and then a photo of nothing."""
    count = rng.choices(tuple(PHOTOS), tuple(PHOTOS.values()))[0]
    photos: list[list[Item]] = [[] for _ in range(count)]
    for item in rng.sample(list(shown), len(shown)):
        photos[0 if isinstance(item, Wide) and rng.random() < 0.7 else rng.randrange(count)].append(item)
        if rng.random() < 0.3:  # seen again from nearby
            photos[rng.randrange(count)].append(item)
    for items in photos:
        if items or rng.random() < 0.8:  # else a photo of nothing
            items.extend(_bystander(rng) for _ in range(rng.choices((0, 1, 2, 3), (3, 3, 2, 1))[0] or not items))
    return tuple(_scene(rng, items) for items in photos)


def _scene(rng: Random, items: Sequence[Item]) -> Scene:
    kept = fitting(items)
    return Scene(kept) if kept else Scene(blank=rng.choice(BLANKS))


def _bystander(rng: Random) -> Item:
    """Something else in view, mostly in order."""
    item = random_item(rng)
    if isinstance(item, Fastener) and rng.random() < 0.8:
        return Fastener(rng.choice(tuple(SCREWS)))
    return item
