"""Two files of verdicts: flips, McNemar's exact test, and the shift of p_pass."""

from itertools import product
from math import comb
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support.compared_files import changes, compared, run_compare, write_side
from support.lines import GROUNDING, SHIELD, fault, stage_a_line, verdict, write_lines

from yanshou.compare.verdicts_compared import Said, VerdictFigures, VerdictPair
from yanshou.schema.records import GroupKey, Label


def pair(label: Label | None, a: Label, b: Label) -> VerdictPair:
    key = GroupKey(GROUNDING, label, "QC-1")
    one, other = (Said(key, says, None, "有图片_1", None) for says in (a, b))
    return VerdictPair(one, other, label)


def exact_p(only_a: int, only_b: int) -> float:
    """McNemar's exact test by its definition: twice the smaller tail of n fair coins, at most 1."""
    n, smaller = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(comb(n, k) for k in range(smaller + 1)) / 2**n)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (0, 6), (3, 9), (10, 10), (2, 15), (40, 21)])
def test_mcnemar_is_the_exact_test(only_a: int, only_b: int) -> None:
    pairs = [pair("pass", "pass", "fail")] * only_a + [pair("fail", "pass", "fail")] * only_b
    pairs += [pair("pass", "pass", "pass")] * 5 + [pair(None, "pass", "fail")] * 7
    figures = VerdictFigures(pairs)
    assert (figures.only_a_right, figures.only_b_right, figures.labelled) == (only_a, only_b, only_a + only_b + 5)
    assert figures.mcnemar == pytest.approx(exact_p(only_a, only_b))


def test_mcnemar_rejects_two_equal_judges_no_more_often_than_it_says() -> None:
    """400 comparisons of two judges that are right equally often: at most 5 % below 0.05, less binomial noise."""
    random, rejected = Random(5), 0
    for _ in range(400):
        said = [random.choices(("pass", "fail"), k=2) for _ in range(60)]
        figures = VerdictFigures([pair("pass", a, b) for a, b in said])
        rejected += (figures.mcnemar or 0) < 0.05
    assert rejected <= 33  # P(more | 5 %) < 0.001


def test_flips_are_counted_in_both_directions_and_against_the_label() -> None:
    pairs = [pair(*case) for case in product(("pass", "fail", None), ("pass", "fail"), ("pass", "fail"))]
    found = VerdictFigures(pairs).to_dict((None, None))
    assert (found["groups"], found["same_verdict"], found["fail_to_pass"], found["pass_to_fail"]) == (12, 6, 3, 3)
    assert found["by_label"] == {
        "pass": {"fail_to_pass": 1, "pass_to_fail": 1},
        "fail": {"fail_to_pass": 1, "pass_to_fail": 1},
        "none": {"fail_to_pass": 1, "pass_to_fail": 1},
    }
    assert found["mcnemar"] == {"labelled": 8, "only_a_right": 2, "only_b_right": 2, "p_value": 1.0}


def test_the_shift_of_p_pass_and_who_crosses_which_threshold(tmp_path: Path) -> None:
    before, after = [0.1, 0.2, 0.5, 0.8, 0.9], [0.1, 0.6, 0.4, 0.95, 0.85]
    sides = [
        write_side(
            tmp_path / name,
            [verdict(f"QC-{n}", "pass", "pass" if p >= at else "fail", p) for n, p in enumerate(values)],
            "verdicts",
            threshold=at,
        )
        for name, values, at in (("a", before, 0.5), ("b", after, 0.9))
    ]
    found = compared(*sides, tmp_path / "out")
    shift = found["overall"]["p_pass_shift"]
    shifts = np.subtract(after, before)
    assert shift["groups"] == 5
    assert shift["mean"] == pytest.approx(shifts.mean())
    assert [*shift["quantiles"].values()] == pytest.approx([np.percentile(shifts, q) for q in (5, 25, 50, 75, 95)])
    assert shift["crossing"] == {
        "a": {"threshold": 0.5, "groups": 2},  # 0.2 → 0.6, 0.5 → 0.4
        "b": {"threshold": 0.9, "groups": 2},  # 0.8 → 0.95, 0.9 → 0.85
    }
    assert found["settings_that_differ"]["settings"] == {"threshold": {"a": 0.5, "b": 0.9}}


def test_changes_hold_every_flip_worst_first(tmp_path: Path) -> None:
    a = [
        verdict("QC-right", "fail", "pass", 0.9), verdict("QC-new", None, "pass", 0.6),
        verdict("QC-block", "pass", "pass", 0.8), verdict("QC-release", "fail", "fail", 0.4),
        verdict("QC-worse", "fail", "fail", 0.1), verdict("QC-same", "pass", "pass", 0.9),
    ]  # fmt: skip
    flipped = {"pass": "fail", "fail": "pass"}
    b = [
        {**line, "verdict": flipped[line["verdict"]], "p_pass": 1 - line["p_pass"], "reason": "B"} for line in a[:-1]
    ] + [a[-1]]
    compared(write_side(tmp_path / "a", a, "verdicts"), write_side(tmp_path / "b", b, "verdicts"), tmp_path / "out")
    found = changes(tmp_path / "out")
    assert [line["group_id"] for line in found] == ["QC-worse", "QC-release", "QC-block", "QC-new", "QC-right"]
    assert found[0] == {
        "mission": GROUNDING, "group_id": "QC-worse", "label": "fail", "label_used": "fail",
        "verdict_a": "fail", "verdict_b": "pass", "p_pass_a": 0.1, "p_pass_b": 0.9,
        "reason_a": "有图片_1", "reason_b": "B", "other_summaries": False,
    }  # fmt: skip


def test_what_is_in_no_figure_is_said(tmp_path: Path) -> None:
    a = [verdict("QC-1", None, p=None), verdict("QC-2", None), verdict("QC-3", None), verdict("QC-3", mission=SHIELD)]
    b = [verdict("QC-1", None), verdict("QC-2", None, summaries_sha256="0" * 64)]
    sides = [write_side(tmp_path / name, lines, "verdicts") for name, lines in (("a", a), ("b", b))]
    write_lines(tmp_path / "b" / "m_verdicts.errors.jsonl", [fault("QC-3", None)])
    found = compared(*sides, tmp_path / "out")
    warnings = "\n".join(found["warnings"])
    assert "2 groups (QC-3 (BBU接地线检查, no label), QC-3 (挡风板安装检查, pass)) only in A" in warnings
    assert "1 of them failed in B" in warnings
    assert "1 groups were judged from other summaries in B" in warnings
    assert "no McNemar test" in warnings
    assert "1 groups have no p_pass" in warnings
    assert found["overall"]["mcnemar"]["p_value"] is None
    assert found["missions"][SHIELD]["groups_only_in_a"] == 1


def test_corrected_labels_count_and_the_folders_label_stays(tmp_path: Path) -> None:
    sides = [
        write_side(tmp_path / name, [verdict(f"QC-{n}", "pass", says) for n in (1, 2, 3)], "verdicts")
        for name, says in (("a", "fail"), ("b", "pass"))
    ]
    rows = [f"{GROUNDING},QC-{group},pass,{label},Li,2026-02-03T09:30:00+08:00" for group, label in LABELS]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["mission,group_id,label_given,label,who,when", *rows]), encoding="utf-8")
    found = compared(*sides, tmp_path / "out", "--labels", str(labels))
    assert found["overall"]["mcnemar"] == {"labelled": 2, "only_a_right": 1, "only_b_right": 1, "p_value": 1.0}
    assert [(line["group_id"], line["label"], line["label_used"]) for line in changes(tmp_path / "out")] == [
        ("QC-1", "pass", "fail"), ("QC-2", "pass", None), ("QC-3", "pass", "pass"),
    ]  # fmt: skip
    warnings = "\n".join(found["warnings"])
    assert "--labels: 2 groups: 0 confirmed, 1 from pass to fail, 0 from fail to pass, 0 without" in warnings
    assert "labels of 1 groups that are not there" in warnings
    assert "人工结论：不通过（更正前：通过）" in (tmp_path / "out" / "compare.html").read_text("utf-8")


LABELS = (("1", "fail"), ("2", "unsure"), ("9", "fail"))


def test_labels_of_stage_a_files_are_wrong_usage(tmp_path: Path) -> None:
    sides = [write_side(tmp_path / name, [stage_a_line("QC-1")]) for name in ("a", "b")]
    result = run_compare(*sides, tmp_path / "out", "--labels", str(sides[0]))
    assert result.exit_code == 2
    assert "--labels is for files of verdicts" in result.stderr
