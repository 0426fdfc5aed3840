"""The reasons that the page offers for an answer: what a mission's rule asks for, in the vocabulary's own words.

    BBU接地线检查   pass  机柜处接地螺丝符合要求 · 地排处接地螺丝符合要求 · 电线捆扎整齐
                    fail  电线分布散乱 · 露铜 · 缺少证据：电线捆扎整齐 · 照片不清晰，需重拍 · …

They are Chinese in every language of the page, as the vocabulary and the judge's reasons are. A reader may write
another one. What people write most often concerns the photos themselves and the labels: these come with every mission.
"""

from collections.abc import Iterable, Iterator, Mapping

from yanshou.missions import Pattern, Rule
from yanshou.missions.rules import ANY
from yanshou.schema.summary import VOCABULARY

ABOUT_PHOTOS = ("照片不清晰，需重拍", "拍摄角度或范围不够，需补拍", "照片与检查项无关")
ABOUT_LABELS = ("标签缺失", "标签无法识别")
FAULTY = "不符合要求"  # has kinds, one level down
KINDS = VOCABULARY["螺丝、光纤插头"][1]


def reasons(rule: Rule) -> Mapping[str, list[str]]:
    """The reasons of a mission, by answer."""
    fail = (*_forbidden(rule), *_missing(rule), *_too_few(rule), *ABOUT_PHOTOS, *ABOUT_LABELS)
    found = {"pass": _satisfied(rule), "fail": fail, "unsure": (*ABOUT_PHOTOS, *ABOUT_LABELS)}
    return {answer: list(dict.fromkeys(texts)) for answer, texts in found.items()}


def _satisfied(rule: Rule) -> Iterator[str]:
    for wanted in rule.require:
        yield from map(_said, wanted)
    for condition in rule.when:
        yield from map(_said, condition.need)


def _forbidden(rule: Rule) -> Iterator[str]:
    yield from map(_said, rule.forbid)
    if any(FAULTY in pattern.values for pattern in rule.forbid):
        yield from KINDS


def _missing(rule: Rule) -> Iterator[str]:
    for wanted in rule.require:
        yield f"缺少证据：{_either(wanted)}"
    for condition in rule.when:
        yield f"{_said(condition.seen)}，但没有看到{_either(condition.need)}"


def _too_few(rule: Rule) -> Iterator[str]:
    if rule.min_photos is not None:
        yield f"照片少于{rule.min_photos}张"


def _either(patterns: Iterable[Pattern]) -> str:
    return "或".join(map(_said, patterns))


def _said(pattern: Pattern) -> str:
    """`螺丝、光纤插头/BBU安装螺丝,符合要求` as people say it: BBU安装螺丝符合要求."""
    _, _, path = pattern.text.partition("/")
    words = path.replace("/", ",").split(",") if path else []
    if pattern.category == ANY:
        return "".join(words)
    named = any(pattern.category in word for word in words) or len(words) > 1
    return "".join(words) if named else "".join((pattern.category, *words))
