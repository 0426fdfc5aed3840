"""Jobs of the demo world: groups of photos that pass or fail their mission's rule.

    random_job(rng, mission) ── Job(label="fail", scenes=(overview, close-up, …))

A job is built from the mission's rule: a passing one shows an item for every requirement; a failing one shows a
forbidden item, misses a requirement, or shows a condition without the items that the condition needs. The rule then
decides about the finished job, and a job with the wrong label is discarded and built again. So groups can be drawn for
every mission TOML whose patterns use the demo world's vocabulary.
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
    limit_items,
    random_device,
    random_item,
)

FAIL_SHARE = 0.4
PHOTOS_PER_GROUP = {1: 6, 2: 16, 3: 40, 4: 20, 5: 9, 6: 5, 7: 2, 8: 2}  # number of photos → weight
MAX_ATTEMPTS = 500  # at a job of the wanted label, or at an item that matches a pattern; usually a few are enough
MAX_UNMET_ATTEMPTS = 50  # at an item that raises a condition and does not meet it; usually a few are enough


@dataclass(frozen=True, slots=True)
class Job:
    """One group: its photos in order, and the label that its mission's rule gives it."""

    mission: Mission
    label: Label
    scenes: tuple[Scene, ...]

    def lines(self) -> list[str]:
        return [scene.line() for scene in self.scenes]


def random_job(rng: Random, mission: Mission, label: Label | None = None) -> Job:
    """A job of the mission with this label. None: 40 % of the jobs fail.

    Raises InputError if the rule names items that the demo world doesn't have, or never leads to the label.
    """
    label = label or ("fail" if rng.random() < FAIL_SHARE else "pass")
    for _ in range(MAX_ATTEMPTS):
        shown = _passing(rng, mission.rule) if label == "pass" else _failing(rng, mission.rule)
        job = Job(mission, label, _scenes(rng, shown))
        if _passes(mission.rule, job.lines()) == (label == "pass"):
            return job
    raise InputError(f"mission {mission.name}: the demo world cannot draw a group that should {label}")


def _passes(rule: Rule, lines: Iterable[str]) -> bool:
    return decide(rule, [parse(line) for line in lines]).passed


def _passing(rng: Random, rule: Rule) -> list[Item]:
    """An item for every requirement, and one for every condition that those items raise."""
    shown: list[Item] = []
    for wanted in rule.require:
        if not any(_shows(item, wanted) for item in shown):
            shown.append(_matching_item(rng, rng.choice(wanted), good=True))
    for condition in rule.when:
        if _unmet(condition, shown):
            shown.append(_matching_item(rng, rng.choice(condition.need), good=True))
    return shown


def _failing(rng: Random, rule: Rule) -> list[Item]:
    """The items of a passing job with one flaw."""
    shown = _passing(rng, rule)
    flaws = ["missing"] * 2 + ["forbidden"] * (5 if rule.forbid else 0) + ["unmet"] * (5 if rule.when else 0)
    match rng.choice(flaws):
        case "missing":
            wanted = rng.choice(rule.require)
            return [item for item in shown if not _shows(item, wanted)]
        case "forbidden":
            return [*shown, _matching_item(rng, rng.choice(rule.forbid), good=False)]
        case _:
            condition = rng.choice(rule.when)
            kept = [item for item in shown if not _shows(item, (condition.seen, *condition.need))]
            return [*kept, _unmet_item(rng, condition)]


def _unmet_item(rng: Random, condition: Condition) -> Item:
    """An item that raises the condition and does not meet it. If every attempt meets it, the last one."""
    for _ in range(MAX_UNMET_ATTEMPTS):
        item = _matching_item(rng, condition.seen, good=False)
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


def _matching_item(rng: Random, pattern: Pattern, good: bool) -> Item:
    """A random item with an entry that matches the pattern. Devices follow `good` (see `_device`)."""
    for _ in range(MAX_ATTEMPTS):
        item = _device(rng, good) if pattern.category == "BBU设备" else random_item(rng)
        if _shows(item, [pattern]):
            return item
    raise InputError(f"the demo world shows nothing that matches {pattern.text}")


def _device(rng: Random, good: bool) -> Device:
    """A device that mostly needs no shield or has one (`good`), or mostly lacks one or has it upside down."""
    return random_device(
        rng, rng.choices(("无需安装", "配备", "未配备", "装反"), (6, 6, 1, 1) if good else (2, 2, 5, 5))[0]
    )


def _scenes(rng: Random, shown: Sequence[Item]) -> tuple[Scene, ...]:
    """Spreads the items over the photos: first an overview, then close-ups and a few unrelated photos."""
    count = rng.choices(tuple(PHOTOS_PER_GROUP), tuple(PHOTOS_PER_GROUP.values()))[0]
    photos: list[list[Item]] = [[] for _ in range(count)]
    for item in rng.sample(list(shown), len(shown)):
        photos[0 if isinstance(item, Wide) and rng.random() < 0.7 else rng.randrange(count)].append(item)
        if rng.random() < 0.3:  # the same item in a second photo
            photos[rng.randrange(count)].append(item)
    for items in photos:
        if items or rng.random() < 0.8:  # otherwise the photo is unrelated
            items.extend(_extra_item(rng) for _ in range(rng.choices((0, 1, 2, 3), (3, 3, 2, 1))[0] or not items))
    return tuple(_scene(rng, items) for items in photos)


def _scene(rng: Random, items: Sequence[Item]) -> Scene:
    kept = limit_items(items)
    return Scene(kept) if kept else Scene(blank=rng.choice(BLANKS))


def _extra_item(rng: Random) -> Item:
    """An item that the rule did not ask for, mostly without a fault."""
    item = random_item(rng)
    if isinstance(item, Fastener) and rng.random() < 0.8:
        return Fastener(rng.choice(tuple(SCREWS)))
    return item
