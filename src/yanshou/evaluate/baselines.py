"""The learned baseline: what a simple model learns about the labels from the summaries alone.

    features of a group (`stage_b/features.py`) ─ logistic regression, cross-fitted in 5 folds ─ p_pass of every group

The features are the presence of every entry value, the flags, the number of photos (as bands, because its effect is no
straight line) and the length (as its logarithm). A judge that reads the same summaries and is not better than this has
learned no more than which words go with which label.

*Cross-fitted*: each fold gets its p_pass from a model that was trained on the other four. Groups of one id, and twins
(groups with the same lines, in any order), are in one fold, so no model has seen a group, its resubmission or its twin.
Folds have about equal shares of each label.

Nothing is tuned: scikit-learn's LogisticRegression with its own C = 1, without class weights, and a fixed seed. A
value that fewer than 5 groups have is no feature: most are texts of single tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array, hstack
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.photo_bands import band_of
from yanshou.schema.records import GroupKey
from yanshou.stage_b.features import CHARACTERS, NUMBERS, PHOTOS

FOLDS = 5
SEED = 0  # of the folds
FEWEST = 20  # of each label: groups that are neither twins nor of one id
LEAST_GROUPS = 5  # that have a value


@dataclass(frozen=True, slots=True)
class LearnedBaseline:
    """p_pass of every group, where there are enough of them."""

    rarer_label: int  # groups of the rarer label that are neither twins nor of one id; below FEWEST there is no p_pass
    p_pass: Mapping[GroupKey, float] = field(default_factory=dict)
    together: Mapping[GroupKey, int] = field(default_factory=dict)  # groups of one number: one id, or twins

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup], features: Sequence[Mapping[str, float]]) -> "LearnedBaseline":
        """The baseline of one mission's groups, all of which have a label and summaries, from their features."""
        together = sets_of(groups)
        passed = np.array([group.label == "pass" for group in groups], dtype=bool)
        fewest = min(len(set(together[passed])), len(set(together[~passed])))
        if fewest < FEWEST:
            return cls(fewest)
        p_pass = _cross_fitted(_matrix(features), passed, together)
        keys = [group.key for group in groups]
        return cls(
            fewest, dict(zip(keys, p_pass.tolist(), strict=True)), dict(zip(keys, together.tolist(), strict=True))
        )


def sets_of(groups: Sequence[JudgedGroup]) -> np.ndarray:
    """A number for each group, the same for groups of one id and for twins, also over several steps."""
    links: dict[Any, int] = {}
    of_id = [links.setdefault(group.key.group_id, len(links)) for group in groups]
    of_lines = [links.setdefault(tuple(sorted(group.summaries)), len(links)) for group in groups]
    rows = np.arange(len(groups))
    ends = np.concatenate([of_id, of_lines]).astype(int) + len(groups)
    starts, size = np.concatenate([rows, rows]), len(groups) + len(links)
    graph = coo_array((np.ones(len(ends)), (starts, ends)), shape=(size, size))
    _, components = connected_components(graph, directed=False)
    return np.asarray(components[: len(groups)])


def _matrix(features: Sequence[Mapping[str, float]]) -> csr_array:
    """One row per group: presence of values and of bands of photos, and the logarithm of the length, standardized."""
    length = np.log([found[CHARACTERS] for found in features])
    present = DictVectorizer().fit_transform(map(_presence, features))
    frequent = np.flatnonzero(np.asarray((present > 0).sum(axis=0)).ravel() >= LEAST_GROUPS)
    standard = (length - length.mean()) / (length.std() or 1.0)
    return csr_array(hstack([present[:, frequent], standard[:, None]]))


def _presence(features: Mapping[str, float]) -> dict[str, float]:
    values = {name: 1.0 for name in features if name not in NUMBERS}
    return {**values, f"{PHOTOS} {band_of(int(features[PHOTOS]))}": 1.0}


def _cross_fitted(features: csr_array, passed: np.ndarray, together: np.ndarray) -> np.ndarray:
    p_pass, fold_of = np.empty(len(passed)), folds(passed, together)
    for fold in range(FOLDS):
        train, test = fold_of != fold, fold_of == fold
        model = LogisticRegression(max_iter=1000).fit(features[train], passed[train])
        p_pass[test] = model.predict_proba(features[test])[:, 1]
    return p_pass


def folds(passed: np.ndarray, together: np.ndarray) -> np.ndarray:
    """The fold of each group. Sets are sorted by what they hold, in random order where that is equal, and dealt out.

    Sets with passes are next to each other, and so are those with fails: every fold gets its share of both labels.
    scikit-learn's StratifiedGroupKFold does as much, but takes 20 s for 60,000 groups.
    """
    _, sets = np.unique(together, return_inverse=True)
    passes, fails = np.bincount(sets, weights=passed), np.bincount(sets, weights=~passed)
    kinds = np.where(fails == 0, 0, np.where(passes > 0, 1, 2))
    order = np.lexsort((np.random.default_rng(SEED).random(len(kinds)), passes, fails, kinds))
    fold_of_set = np.empty(len(kinds), dtype=int)
    fold_of_set[order] = np.arange(len(kinds)) % FOLDS
    return fold_of_set[sets]
