"""`yanshou.inputs.label_folders`: what is a label, and what was probably meant to be one."""

import os

import pytest

from yanshou.inputs.label_folders import FAIL, LABELS, PASS, label_of, meant_label


@pytest.mark.parametrize(
    ("folder", "meant"),
    [
        ("pass", PASS), ("Passed", PASS), ("OK", PASS), ("approved ", PASS), ("通过", PASS), ("合格", PASS),
        ("審核通過", PASS), ("审核通过 ", PASS), ("审核通过\u200b", PASS), ("审核通过(1)", PASS),
        (os.fsdecode("审核通过".encode("gbk")), PASS),
        ("fail", FAIL), ("NG", FAIL), ("not_passed", FAIL), ("Not Pass", FAIL), ("rejected", FAIL), ("不通过", FAIL),
        ("未通过", FAIL), ("审核未通过", FAIL), ("审核不通过_补传", FAIL), ("驳回", FAIL), ("審核不通過", FAIL),
        ("审核不通过".encode("gbk").decode("cp437"), FAIL),
        ("待定", None), ("审核中", None), ("passing", None), ("QC-1", None), ("passport", None), ("", None),
    ],
)  # fmt: skip
def test_other_spellings_mean_a_label_and_are_none(folder: str, meant: str | None) -> None:
    assert (meant_label(folder), label_of(folder)) == (meant, None)


def test_the_two_labels() -> None:
    assert {folder: label_of(folder) for folder in LABELS} == {"审核通过": "pass", "审核不通过": "fail"}
