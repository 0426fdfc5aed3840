"""The folders of human labels, and what other spellings probably mean.

审核通过      pass
审核不通过    fail
pass, 通过, "审核通过 ", 審核通過…    no labels, but near enough for a hint; they are never read as labels
"""

import re

from yanshou.inputs.similar_names import plain, readings
from yanshou.schema.records import Label
from yanshou.text import nfc

PASS, FAIL = "审核通过", "审核不通过"
LABELS: dict[str, Label] = {PASS: "pass", FAIL: "fail"}

# Whole names only. 审核未通过 is more like 审核通过 than like 审核不通过, so likeness says nothing here.
SPELLINGS = {
    PASS: (
        "pass passed ok good yes accept accepted approve approved qualified release released "
        "通过 已通过 合格 同意 审核合格 审核已通过 审核通过的 验收通过 验收合格 通過 審核通過"
    ),
    FAIL: (
        "fail failed ng nok bad no notpass notpassed notok unpass reject rejected refuse refused deny denied "
        "disapproved unqualified block blocked 不通过 未通过 不合格 驳回 退回 打回 拒绝 审核未通过 审核没通过 "
        "审核不合格 审核不过 审核失败 审核驳回 验收不通过 验收不合格 不通過 未通過 審核不通過 審核未通過"
    ),
}
_MEANT = {spelling: label for label, spellings in SPELLINGS.items() for spelling in spellings.split()}
_MARKS = re.compile(r"[-_.·]")


def label_of(folder: str) -> Label | None:
    """The label that a folder stands for."""
    return LABELS.get(nfc(folder))


def meant_label(folder: str) -> str | None:
    """The label folder that another name was probably meant to be: "Passed " → 审核通过."""
    for reading, _ in readings(folder):
        name = _MARKS.sub("", plain(reading))
        if meant := _MEANT.get(name):
            return meant
        for label in (FAIL, PASS):
            if label in name:  # 审核通过(1), 审核不通过_补传
                return label
    return None
