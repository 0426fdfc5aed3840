"""The learned baseline finds what the summaries tell, and never sees a group, its resubmission or its twin before."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from support.judged_groups import judged_group

from yanshou.evaluate.baselines import FEWEST, FOLDS, LearnedBaseline, folds, sets_of
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.records import Label
from yanshou.stage_b.features import group_features

TIDY, MESSY = "电线/捆扎整齐×1", "电线/分布散乱×1"


def learn(groups: Sequence[JudgedGroup]) -> LearnedBaseline:
    return LearnedBaseline.of(groups, [group_features(group.summaries) for group in groups])


def tag(text: object) -> str:
    return f"标签/{text}×1"


def auc(groups: list[JudgedGroup], found: LearnedBaseline) -> float:
    passed = [group.label == "pass" for group in groups]
    return float(roc_auc_score(passed, [found.p_pass[group.key] for group in groups]))


def informed(share: float, groups: int = 400) -> list[JudgedGroup]:
    """Every third group fails; with this probability its cables predict the label, otherwise they are random."""
    rng, found = Random(1), []
    for number in range(groups):
        label: Label = "fail" if number % 3 == 0 else "pass"
        tidy = label == "pass" if rng.random() < share else rng.random() < 0.5
        found.append(judged_group(f"QC-{number}", label, [TIDY if tidy else MESSY, tag(number)]))
    return found


def test_it_learns_what_the_entries_tell() -> None:
    """Of 400 groups the cables of 4 in 5 predict the label: TPR 0.9, FPR 0.1, so the AUC is 0.9."""
    groups = informed(0.8)
    assert auc(groups, learn(groups)) == pytest.approx(0.9, abs=0.04)


def test_nothing_to_learn_is_an_auc_of_one_half() -> None:
    groups = informed(0.0, 900)
    assert auc(groups, learn(groups)) == pytest.approx(0.5, abs=0.06)


def test_it_learns_a_step_in_the_number_of_photos() -> None:
    """No straight line: groups of 3 pass, those with fewer and with more fail."""
    groups = [
        judged_group(f"QC-{n}", "pass" if n % 2 else "fail", [tag(f"{n} {photo}") for photo in range(photos)])
        for n, photos in ((n, 3 if n % 2 else (1, 2, 4, 6, 9)[n % 5]) for n in range(300))
    ]
    assert auc(groups, learn(groups)) > 0.95


def test_the_same_groups_give_the_same_figures() -> None:
    groups = informed(0.5)
    assert learn(groups) == learn(groups)


def test_twins_are_never_on_both_sides() -> None:
    """Labels are random, and twins share them. A model that has seen a twin would know the label of each group."""
    rng = Random(2)
    groups = []
    for number in range(150):
        label: Label = "pass" if rng.random() < 0.5 else "fail"
        groups += [judged_group(f"QC-{number}-{twin}", label, [tag(f"job {number}")]) for twin in range(6)]
    assert auc(groups, learn(groups)) < 0.6


def test_one_id_under_both_labels_and_its_twins_are_one_set() -> None:
    groups = [
        judged_group("QC-1", "fail", ["a"]),
        judged_group("QC-1", "pass", ["b"]),  # resubmitted
        judged_group("QC-2", "pass", ["b"]),  # its twin
        judged_group("QC-3", "pass", ["b", "a"]),
        judged_group("QC-4", "fail", ["a", "b"]),  # its twin
        judged_group("b", "pass", ["c"]),  # an id that is a line elsewhere
    ]
    sets = sets_of(groups).tolist()
    assert sets[0] == sets[1] == sets[2]
    assert sets[3] == sets[4]
    assert len(set(sets)) == 3


@pytest.mark.parametrize("seed", range(10))
def test_every_fold_has_its_share_of_both_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    together = rng.zipf(1.6, 800) % 300 + 1000 * rng.integers(0, 2, 800)
    passed = np.where(rng.random(800) < 0.5, together > 900, rng.random(800) < 0.9)
    fold_of = folds(passed, together)
    assert all(len(set(fold_of[together == one])) == 1 for one in set(together))
    assert set(fold_of) == set(range(FOLDS))
    for fold in range(FOLDS):
        assert 0 < passed[fold_of == fold].sum() < (fold_of == fold).sum()


def test_p_pass_is_that_of_scikit_learn_on_the_same_folds() -> None:
    """The tags give each group lines of its own, and are too rare to be features."""
    groups = informed(0.6, 200)
    groups = [
        judged_group(group.key.group_id, group.label, group.summaries * (1 + number % 2))
        for number, group in enumerate(groups)
    ]
    found = learn(groups)
    passed = np.array([group.label == "pass" for group in groups])
    together = np.array([found.together[group.key] for group in groups])
    length = np.log([sum(map(len, group.summaries)) for group in groups])
    columns = [
        np.ones(len(groups)),  # 电线
        np.ones(len(groups)),  # 标签
        *(np.array([group.summaries[0] == line for group in groups], dtype=float) for line in (TIDY, MESSY)),
        *(np.array([len(group.summaries) == photos for group in groups], dtype=float) for photos in (2, 4)),
        (length - length.mean()) / length.std(),
    ]
    expected = cross_val_predict(
        LogisticRegression(max_iter=1000), np.column_stack(columns), passed,
        cv=PredefinedSplit(folds(passed, together)), method="predict_proba",
    )  # fmt: skip
    assert [found.p_pass[group.key] for group in groups] == pytest.approx(expected[:, 1].tolist(), abs=1e-3)


@pytest.mark.parametrize(("fails", "enough"), [(0, False), (FEWEST - 1, False), (FEWEST, True)])
def test_too_few_groups_of_a_label_give_no_baseline(fails: int, enough: bool) -> None:
    groups = [judged_group(f"QC-{n}", "fail" if n < fails else "pass", [tag(n)]) for n in range(100)]
    groups.append(judged_group("QC-0", "fail" if fails else "pass", [tag(0), TIDY]))  # of an id that is counted
    found = learn(groups)
    assert (found.rarer_label, bool(found.p_pass)) == (fails, enough)
