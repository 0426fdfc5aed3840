"""The promises of an evaluation: for each mission, or for all together (--pooled), one per side that was asked for.

    --max-false-release 0.03 --max-false-block 0.05         release                     block
        BBU接地线检查                                        p_pass ≥ 0.93               p_pass < 0.2
        挡风板安装检查                                       too few human fails         p_pass < 0.1

Each promise holds with the stated confidence, so one of many is easily broken. All of them hold with a probability of
at least 1 - k × (1 - confidence), whatever depends on what (union bound). k counts every side with enough groups to be
tested, also those for which no threshold was found: that search had its chance of a mistake, too. A side with too few
groups has none. The bound is 0 or less, and so says nothing, from k = 1 / (1 - confidence) on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yanshou.errors import UsageError
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.threshold import ROUNDING, Promise, Side, find_promise
from yanshou.settings import ThresholdSettings

ALL = "all missions together"


@dataclass(frozen=True, slots=True)
class SidePromises:
    """The promises of one mission, or of all missions together."""

    release: Promise | None  # None: not asked for
    block: Promise | None

    @property
    def cross(self) -> bool:
        """Whether some p_pass is on both sides: a person decides about such groups."""
        above, below = (None if side is None else side.threshold for side in (self.release, self.block))
        return above is not None and below is not None and above < below

    def asked(self) -> list[Promise]:
        return [promise for promise in (self.release, self.block) if promise is not None]

    def to_dict(self) -> dict[str, Any]:
        return {"release": self.release and self.release.to_dict(), "block": self.block and self.block.to_dict()}


@dataclass(frozen=True, slots=True)
class Promises:
    """All promises of an evaluation."""

    missions: Mapping[str, SidePromises]  # pooled: the same for every mission
    pooled: bool
    confidence: float

    def each(self) -> Iterator[tuple[str | None, Promise]]:
        """Every promise once, with its mission, or None for all missions together."""
        for mission, sides in self.missions.items():
            for promise in sides.asked():
                yield None if self.pooled else mission, promise
            if self.pooled:
                return

    @property
    def made(self) -> int:
        """The number of thresholds found."""
        return sum(promise.threshold is not None for _, promise in self.each())

    @property
    def asked(self) -> int:
        return sum(1 for _ in self.each())

    @property
    def tested(self) -> int:
        """The number of sides with enough groups to look for a threshold."""
        return sum(promise.allowed is not None for _, promise in self.each())

    @property
    def all_hold(self) -> float:
        """The lower bound on the probability that all promises hold; 0: nothing is known."""
        chance = 1 - self.tested * (1 - self.confidence)
        return chance if chance > ROUNDING else 0.0

    def failed(self) -> list[str]:
        """One sentence for each side without a threshold."""
        return [
            f"{mission or ALL}, {promise.explanation}" for mission, promise in self.each() if promise.threshold is None
        ]

    def not_covered(self) -> list[str]:
        """What these promises say nothing about."""
        return [
            "other checkpoints, prompts and settings of either stage than those in the policy",
            "other kinds of jobs: other missions, sites, installers or cameras than those of this set",
            *(["a single mission: only the missions as they are mixed in this set"] if self.pooled else []),
            "wrong labels: the labels are taken as they are. If a share ε of the human fails is wrong, a judge that is "
            "right releases them, so ε is a floor under every false-release rate; for blocking the same is true of "
            "wrong human passes",
            "the best of several tries: a checkpoint, prompt or limit that was chosen by its figures on this same set",
            "groups that depend on each other: of groups with the same photos or lines, each counts as evidence",
            "groups without a p_pass: a person decides about them",
        ]

    @property
    def confidence_for_all(self) -> float:
        """The --confidence with which all promises together would hold with this confidence."""
        return 1 - (1 - self.confidence) / max(self.tested, 1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "pooled": self.pooled,
            "confidence": self.confidence,
            "asked": self.asked,
            "tested": self.tested,
            "made": self.made,
            "all_hold_at_least": self.all_hold,
            "missions": {mission: sides.to_dict() for mission, sides in self.missions.items()},
        }


def find_promises(groups: Sequence[JudgedGroup], settings: ThresholdSettings) -> Promises | None:
    """The promises that were asked for. None: none was. Raises UsageError if no verdict has a p_pass."""
    if settings.max_false_release is None and settings.max_false_block is None:
        return None
    judged = [group for group in groups if group.verdict]
    if judged and all(group.p_pass is None for group in judged):
        raise UsageError(
            f"group {judged[0].key} has no p_pass, and no other group has one: rules, reasoning models and most "
            "servers give none, so no threshold can decide about their groups. Leave out --max-false-release and "
            "--max-false-block, or judge with a checkpoint."
        )
    missions = list(dict.fromkeys(group.key.mission for group in groups))
    if settings.pooled:
        together = _sides(groups, settings)
        return Promises(dict.fromkeys(missions, together), pooled=True, confidence=settings.confidence)
    by_mission = {name: [group for group in groups if group.key.mission == name] for name in missions}
    found = {name: _sides(part, settings) for name, part in by_mission.items()}
    return Promises(found, pooled=False, confidence=settings.confidence)


def _sides(groups: Sequence[JudgedGroup], settings: ThresholdSettings) -> SidePromises:
    scores: dict[str | None, list[float]] = {"pass": [], "fail": [], None: []}
    for group in groups:
        if group.verdict and group.p_pass is not None:
            scores[group.label].append(group.p_pass)

    def side(name: Side, limit: float | None) -> Promise | None:
        if limit is None:
            return None
        return find_promise(name, scores["pass"], scores["fail"], limit, settings.confidence)

    return SidePromises(side("release", settings.max_false_release), side("block", settings.max_false_block))
