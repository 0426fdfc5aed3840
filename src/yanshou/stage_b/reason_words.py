"""What is wrong with a reason, in words."""

from collections.abc import Iterable, Mapping
from typing import Final

from yanshou.stage_b.reason import Problem, ProblemKind

WORDS: Final[Mapping[str, Mapping[ProblemKind, str]]] = {
    "zh": {
        "absent": "{0}的摘要中没有“{1}”",
        "no_photo": "没有{0}，该组只有{1}张照片",
        "for_other": "{0}的“{1}”支持相反的结论",
        "not_forbidden": "{0}的“{1}”不属于不允许的{2}",
        "is_seen": "“没有看到{0}”不成立：有{1}",
        "wrong_count": "照片数量不符：该组有{0}张，规则要求至少{1}张",
        "missing_for_pass": "没有看到{0}，不能作为通过的理由",
        "rule": "规则的结论相反：{0}",
        "broken": "{0}的“{1}”不是完整的条目",
        "nothing": "没有引用任何条目，也没有指出缺少哪项要求",
        "too_long": "理由有{0}个字符，超过{1}个，未作核对",
        "not_shown": "没有举证：{0}",
        "no_ground": "没有指出不允许的条目或缺少的要求",
        "idle": "{0}的“{1}”与通过条件无关，不能作为理由",
    },
    "en": {
        "absent": "the summary of {0} does not contain “{1}”",
        "no_photo": "there is no {0}: the group has {1} photos",
        "for_other": "“{1}” of {0} argues for the other verdict",
        "not_forbidden": "“{1}” of {0} is not forbidden by {2}",
        "is_seen": "{0} is not missing: {1}",
        "wrong_count": "wrong number of photos: the group has {0}, and the rule asks for at least {1}",
        "missing_for_pass": "that {0} is missing is no reason for 通过",
        "rule": "the rule gives the other verdict: {0}",
        "broken": "“{1}” of {0} is not a whole entry",
        "nothing": "it cites no entry and names no requirement",
        "too_long": "it has {0} characters, more than the {1} that are checked",
        "not_shown": "no entry is cited for {0}",
        "no_ground": "it names no forbidden entry and no missing requirement",
        "idle": "“{1}” of {0} argues for nothing under the rule",
    },
}


def explain(problems: Iterable[Problem], lang: str) -> list[str]:
    """One line per problem, in the language: zh or en."""
    return [WORDS[lang][problem.kind].format(*problem.values) for problem in problems]
