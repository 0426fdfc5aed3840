"""The single feature that predicts the label of a mission's groups best.

    BBU安装方式检查（正装）   需复核   AUC 0.90   in 98% of the passed groups, in 18% of the failed

Where one feature is enough to predict the label, the groups were perhaps picked by it, and a model that learns it is
good on these groups only. A value that the mission's own rule names predicts the label for a reason: it may be the
feature that is shown, but it is never suspicious.

The AUC is that of the feature alone: how often, of a passed and a failed group, the one that has it (more of it) is the
one of its label; ties count half. Its lower limit holds for all features together and for any number of groups: an AUC
is a mean over independent pairs of groups, averaged over all ways to pair them (Hoeffding 1963, section 5), so
Chernoff's bound with as many pairs as the rarer label has groups applies, at the level 1 % ÷ number of features.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import log
from typing import NamedTuple

import numpy as np

from yanshou.missions.rules import ANY, Rule
from yanshou.schema.records import Label, Record
from yanshou.stage_b.features import NUMBERS, PHOTOS, group_features

SUSPICIOUS = 0.85  # AUC
LEVEL = 0.01  # chance that any of the features is better than chance by chance
LEAST = 0.55  # features that too few groups have, or lack, to reach this AUC are not considered


class Shortcut(Record):
    """A feature, and how well it predicts the label."""

    feature: str
    auc: float  # 0.5 … 1
    low: float  # its lower limit, at least 0.5: see the top of this file
    more_in: Label  # the label whose groups have it more often, or have more of it
    in_passes: float  # share of the passed groups that have it; for a number, its median
    in_fails: float
    passes: int  # groups
    fails: int
    features: int  # that were considered
    in_rule: bool  # whether the mission's rule names it

    @property
    def suspicious(self) -> bool:
        """Whether the groups were perhaps picked by it."""
        return self.auc > SUSPICIOUS and self.low > 0.5 and not self.in_rule

    @property
    def direction(self) -> str:
        """`in 98% of the passed groups, in 18% of the failed`"""
        if self.feature in NUMBERS:
            return f"median {self.in_passes:g} in the passed groups, {self.in_fails:g} in the failed"
        return f"in {self.in_passes:.0%} of the passed groups, in {self.in_fails:.0%} of the failed"

    def warning(self, mission: str) -> str:
        """What a suspicious feature means."""
        return (
            f"{mission}: {self.feature} alone predicts the label with AUC {self.auc:.2f} ({self.direction}): the "
            "groups were perhaps picked by it. Figures on them say little about other groups; take all groups of a "
            "time span"
        )


class _Telling(NamedTuple):
    """A feature's AUC of fail against pass: above 0.5, failed groups have it more often or more of it."""

    auc: float
    feature: str
    in_passes: float
    in_fails: float

    @property
    def strength(self) -> float:
        return max(self.auc, 1 - self.auc)


def find_shortcut(groups: Iterable[tuple[Label, Sequence[str]]], rule: Rule | None = None) -> Shortcut | None:
    """The feature that predicts the label best; where one that the rule does not name is suspicious, that one.

    `groups`: label and summaries of each group of one mission. None where one label has no groups, or where all groups
    have the same features.
    """
    return strongest_feature(((label, group_features(summaries)) for label, summaries in groups), rule)


def strongest_feature(groups: Iterable[tuple[Label, Mapping[str, float]]], rule: Rule | None = None) -> Shortcut | None:
    """As `find_shortcut`, of groups whose features are known."""
    table: dict[Label, list[Mapping[str, float]]] = {"pass": [], "fail": []}
    for label, features in groups:
        table[label].append(features)
    passes, fails = len(table["pass"]), len(table["fail"])
    if not passes or not fails:
        return None
    # Of equals, the shorter name: 需复核 comes before 电线/需复核.
    found = sorted(
        (*_present(table), *_numbers(table)),
        key=lambda telling: (-telling.strength, len(telling.feature), telling.feature),
    )
    ranked = [_shortcut(telling, passes, fails, len(found), rule) for telling in found]
    return next((shortcut for shortcut in ranked if shortcut.suspicious), ranked[0] if ranked else None)


def named_by(rule: Rule | None, feature: str) -> bool:
    """Whether the rule names the feature: a category, a value in that category, or the number of photos."""
    if rule is None:
        return False
    if feature == PHOTOS:
        return rule.min_photos is not None
    category, _, value = feature.partition("/")
    conditions = chain.from_iterable((condition.seen, *condition.need) for condition in rule.when)
    patterns = chain(chain.from_iterable(rule.require), rule.forbid, conditions)
    return any(
        pattern.category in (ANY, category) and (value in pattern.values if value else pattern.category == category)
        for pattern in patterns
    )


def lower_limit(auc: float, pairs: int, features: int) -> float:
    """The AUC below which Chernoff's bound leaves a share of LEVEL ÷ features; at least 0.5."""
    from scipy.optimize import brentq
    from scipy.special import rel_entr

    def surprise(true: float) -> float:
        divergence = rel_entr(auc, true) + rel_entr(1 - auc, 1 - true)
        return pairs * float(divergence) - log(features / LEVEL)

    if auc <= 0.5 or surprise(0.5) <= 0:
        return 0.5
    return float(brentq(surprise, 0.5, auc)) if surprise(auc) < 0 else auc


def _present(table: Mapping[Label, Sequence[Mapping[str, float]]]) -> Iterable[_Telling]:
    passes, fails = len(table["pass"]), len(table["fail"])
    counts = {label: Counter(chain.from_iterable(table[label])) for label in table}
    fewest = 2 * (LEAST - 0.5) * min(passes, fails)
    for feature in counts["pass"].keys() | counts["fail"].keys():
        passed, failed = counts["pass"][feature], counts["fail"][feature]
        if feature not in NUMBERS and fewest <= passed + failed <= passes + fails - fewest:
            in_passes, in_fails = passed / passes, failed / fails
            yield _Telling((1 + in_fails - in_passes) / 2, feature, in_passes, in_fails)


def _numbers(table: Mapping[Label, Sequence[Mapping[str, float]]]) -> Iterable[_Telling]:
    from scipy.stats import rankdata

    for feature in NUMBERS:
        passed, failed = (np.array([features[feature] for features in table[label]]) for label in ("pass", "fail"))
        ranks = rankdata(np.concatenate([failed, passed]))[: len(failed)]
        above = ranks.sum() - len(failed) * (len(failed) + 1) / 2  # Mann and Whitney's U
        auc = float(above / (len(passed) * len(failed)))
        if passed.min() != failed.max() or passed.max() != failed.min():
            yield _Telling(auc, feature, float(np.median(passed)), float(np.median(failed)))


def _shortcut(telling: _Telling, passes: int, fails: int, features: int, rule: Rule | None) -> Shortcut:
    return Shortcut(
        feature=telling.feature,
        auc=telling.strength,
        low=lower_limit(telling.strength, min(passes, fails), features),
        more_in="fail" if telling.auc > 0.5 else "pass",
        in_passes=telling.in_passes,
        in_fails=telling.in_fails,
        passes=passes,
        fails=fails,
        features=features,
        in_rule=named_by(rule, telling.feature),
    )
