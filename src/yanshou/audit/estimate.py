"""What the answers to an audit say about all released groups, once all groups of the sample have one.

    audit.json                                300 of 5,210 released groups
    labels.csv      pass · fail · unsure      an answer each, later than the draw: 2 are bad (fail or unsure)
    estimate                                  0.7 %; at most 106 of 5,210 (2.0 %) are bad, at 95 % confidence

Before, there is no figure: answers that come first are not those of a random sample. Only rows later than the draw
count, because a label that was there before was not given by looking for what is wrong with a released group.

The false-release rate is that of `evaluate`: of all groups that people fail, the share that was released. Of the
blocked and reviewed groups, which people look at anyway, --human-fails says how many they failed. With R bad groups
among the released the rate is R / (R + human fails), which grows with R, so the bound on R gives the bound on the rate.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from yanshou.audit.bounds import most_bad
from yanshou.audit.draw import read_audit
from yanshou.errors import UsageError
from yanshou.missions import load_missions
from yanshou.schema.audit import Audit
from yanshou.schema.policy import FileDigest
from yanshou.schema.records import GroupKey
from yanshou.settings import AuditEstimateSettings
from yanshou.storage.labels_file import Labels, read_labels

MAX_NAMED = 5  # groups without an answer


@dataclass(frozen=True, slots=True)
class BadReleases:
    """The released groups that are bad: in the sample, and at most in the population."""

    fails: int  # of the sample
    unsure: int  # of the sample; they count as fails
    sample: int
    population: int
    most: int  # of the population, at the stated confidence

    @property
    def found(self) -> int:
        return self.fails + self.unsure

    @property
    def share(self) -> float:
        return self.found / self.sample

    @property
    def upper(self) -> float:
        """The upper bound on the share of the population."""
        return self.most / self.population

    def to_dict(self) -> dict[str, Any]:
        return {
            "fails": self.fails, "unsure": self.unsure, "of": self.sample, "share": self.share,
            "at_most": self.most, "released": self.population, "upper": self.upper,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class FalseReleaseRate:
    """Of all groups that people fail, the share that was released. None: there is no such group."""

    human_fails: int  # among the blocked and reviewed groups
    share: float | None
    upper: float | None

    @classmethod
    def of(cls, bad: BadReleases, human_fails: int) -> "FalseReleaseRate":
        return cls(human_fails, _rate(bad.share * bad.population, human_fails), _rate(bad.most, human_fails))

    def to_dict(self) -> dict[str, Any]:
        return {"human_fails": self.human_fails, "share": self.share, "upper": self.upper}


@dataclass(frozen=True, slots=True)
class Estimate:
    """The result of `yanshou audit estimate`."""

    audit: Audit
    confidence: float
    labels: tuple[FileDigest, ...]
    missing: frozenset[GroupKey]  # without an answer
    early: int  # of these: the groups whose answers are older than the draw
    others: int  # groups with rows that are not in the sample
    bad: BadReleases | None  # None: answers are missing
    missions: dict[str, tuple[int, int]]  # bad groups and size of the sample, by mission; empty: answers are missing
    false_release: FalseReleaseRate | None  # None: answers are missing, or --human-fails

    def missing_messages(self) -> list[str]:
        """Names the first groups without an answer."""
        if not self.missing:
            return []
        named = "; ".join(sorted(map(str, self.missing))[:MAX_NAMED])
        more = f"; and {len(self.missing) - MAX_NAMED} more" if len(self.missing) > MAX_NAMED else ""
        early = f", {self.early} of them have one from before the draw ({self.audit.created})" if self.early else ""
        of = len(self.audit.groups)
        return [f"no figure yet: {len(self.missing)} of {of} groups have no answer{early}: {named}{more}"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "policy": self.audit.policy,
            "seed": self.audit.seed,
            "drawn": self.audit.created,
            "released": self.audit.released,
            "size": len(self.audit.groups),
            "confidence": self.confidence,
            "labels": [file.model_dump() for file in self.labels],
            "missing": [group.model_dump() for group in self.audit.groups if group.key in self.missing],
            "answered_before_the_draw": self.early,
            "rows_about_other_groups": self.others,
            "bad": self.bad and self.bad.to_dict(),
            "missions": {name: {"bad": bad, "of": of} for name, (bad, of) in self.missions.items()},
            "false_release": self.false_release and self.false_release.to_dict(),
        }


def estimate_audit(settings: AuditEstimateSettings) -> Estimate:
    """Raises InputError and DamagedFileError; UsageError for more human fails than groups that were not released."""
    audit = read_audit(settings.audit)
    if settings.human_fails is not None and settings.human_fails > audit.not_released:
        raise UsageError(
            f"{settings.human_fails} human fails are more than the {audit.not_released} blocked and reviewed groups of "
            "the decisions files. Count only groups of these files that people failed."
        )
    labels = read_labels(settings.labels, load_missions(settings.mission_files))
    return estimate(audit, labels, settings.confidence, settings.human_fails)


def estimate(audit: Audit, labels: Labels, confidence: float, human_fails: int | None = None) -> Estimate:
    """The estimate from labels that are read already."""
    keys = [group.key for group in audit.groups]
    drawn = datetime.fromisoformat(audit.created)
    answered = {key for key in keys if key in labels.latest and labels.latest[key].row.when >= drawn}
    missing = frozenset(keys) - answered
    bad = None if missing else _bad(audit, keys, labels, confidence)
    return Estimate(
        audit=audit,
        confidence=confidence,
        labels=labels.files,
        missing=missing,
        early=sum(key in labels.latest for key in missing),
        others=len(labels.latest.keys() - set(keys)),
        bad=bad,
        missions={} if missing else _by_mission(audit, labels),
        false_release=FalseReleaseRate.of(bad, human_fails) if bad and human_fails is not None else None,
    )


def _bad(audit: Audit, keys: Sequence[GroupKey], labels: Labels, confidence: float) -> BadReleases:
    answers = Counter(labels.latest[key].row.label for key in keys)
    fails, unsure = answers["fail"], answers["unsure"]
    most = most_bad(audit.released, len(keys), fails + unsure, confidence)
    return BadReleases(fails, unsure, len(keys), audit.released, most)


def _by_mission(audit: Audit, labels: Labels) -> dict[str, tuple[int, int]]:
    sizes = Counter(group.mission for group in audit.groups)
    bad = Counter(group.mission for group in audit.groups if labels.label_of(group.key) != "pass")
    return {name: (bad[name], sizes[name]) for name in audit.missions if sizes[name]}


def _rate(released: float, not_released: int) -> float | None:
    fails = released + not_released
    return released / fails if fails else None
