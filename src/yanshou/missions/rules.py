"""The pass rule of a mission, as data, and its verdict on all photos of a group.

    [rule]
    text = "必须看到BBU设备；……"
    require = [["BBU设备"], ["BBU设备/无需安装", "BBU设备/机柜空间充足需要安装"]]
    forbid = ["*/不符合要求"]
    when = [{ if = "BBU设备/机柜空间充足需要安装", need = ["挡风板/安装方向正确"] }]
    min_photos = 3  # may be left out: any number

    0. 不通过 if the group has fewer photos than `min_photos`.
    1. 不通过 if any entry matches a pattern of `forbid`.
    2. 不通过 if a list of `require` has no pattern that some entry matches: missing evidence fails.
    3. 不通过 if an entry matches `if` and no entry of the group matches one of `need`.
    4. 通过 otherwise.

Entries marked 需复核 and entries with ×0 are no evidence for pass or for fail. Notes (备注) are ignored. Entries are
compared in their canonical spelling, word by word: an entry outside the vocabulary matches only the same words.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer

from yanshou.schema.records import image_key
from yanshou.schema.summary import Entry, Summary, parse
from yanshou.settings import Settings

ANY = "*"  # the category that matches every category
MAX_MIN_PHOTOS = 100  # more would fail every group: real jobs have 1 to 38 photos
LABEL_WORDS = ("审核通过", "审核不通过")  # parts of a photo's path, which reveal the label


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an entry must have: `螺丝、光纤插头/BBU安装螺丝,符合要求` needs the category and both values, on any level.

    Made by `parse` alone, which makes category and values canonical.
    """

    category: str  # canonical, or "*"
    values: frozenset[str]  # empty: the category is enough
    text: str  # as the mission's file spells it

    @classmethod
    def parse(cls, text: str) -> Self:
        """The pattern that the text describes. Raises ValueError."""
        entries = parse(text).canonical().entries
        if len(entries) != 1 or entries[0].note or entries[0].count is not None or entries[0].doubtful:
            raise ValueError("a pattern is one entry without ×N, 备注 and 需复核: 类别/值,值")
        values, category = entries[0].values, entries[0].category
        if not category or "" in values or (category == ANY and not values):
            raise ValueError("a pattern names a category and, below it, no empty value: 类别/值,值 or */值")
        return cls(category, values, text)

    def matches(self, entry: Entry) -> bool:
        """Whether a canonical entry has the category and the values."""
        return self.category in (ANY, entry.category) and self.values <= entry.values


def _pattern(value: object) -> object:
    return Pattern.parse(value) if isinstance(value, str) else value


def _prompt_text(text: str) -> str:
    if not text.strip() or len(text.splitlines()) > 1:
        raise ValueError("must be one line of Chinese text for the prompt")
    for word in LABEL_WORDS:
        if word in text:
            raise ValueError(f"{word} is a label's folder and must not be in a prompt; write 通过 or 不通过")
    return text


PromptText = Annotated[str, AfterValidator(_prompt_text)]
PatternText = Annotated[Pattern, BeforeValidator(_pattern), PlainSerializer(lambda pattern: pattern.text)]


class Condition(Settings):
    """Where one thing is seen, another one must be seen too, in any photo of the group."""

    model_config = ConfigDict(populate_by_name=True)

    seen: PatternText = Field(validation_alias="if", serialization_alias="if")
    need: tuple[PatternText, ...] = Field(min_length=1)  # any of these


class Rule(Settings):
    """A mission's pass rule: as text for the model and as data for `decide`."""

    text: PromptText  # in Chinese; part of the Stage-B prompt
    require: tuple[Annotated[tuple[PatternText, ...], Field(min_length=1)], ...] = Field(
        min_length=1
    )  # of each list, at least one
    forbid: tuple[PatternText, ...] = ()
    when: tuple[Condition, ...] = ()
    min_photos: int | None = Field(
        default=None, ge=1, le=MAX_MIN_PHOTOS, strict=True
    )  # groups with fewer photos, whatever these show, fail

    @property
    def condition(self) -> str:
        """What the prompt says: the text, and the number of photos, which the text need not mention."""
        if self.min_photos is None:
            return self.text
        return f"{self.text.rstrip().rstrip('。；')}；照片少于{self.min_photos}张即不通过。"

    def to_dict(self) -> dict[str, Any]:
        """The rule as a run file holds it. Without `min_photos` where there is none, as before there was this key."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Decision:
    """The rule's verdict on a group, and its grounds in one Chinese line that names the photos."""

    passed: bool
    reason: str


class Seen(NamedTuple):
    """An entry that counts as evidence."""

    photo: int  # from 1
    entry: Entry  # canonical

    def __str__(self) -> str:
        return f"{image_key(self.photo)} {self.entry}"


def decide(rule: Rule, summaries: Iterable[Summary]) -> Decision:
    """The verdict on a group, from the summaries of its photos in order. The reason names all grounds for 不通过."""
    photos = [summary.canonical() for summary in summaries]
    return decide_seen(rule, len(photos), list(evidence(photos)))


def decide_seen(rule: Rule, photos: int, seen: Sequence[Seen]) -> Decision:
    """`decide`, from the number of photos and their `evidence`."""
    if faults := [*_too_few(rule, photos), *_forbidden(rule, seen), *_missing(rule, seen)]:
        return Decision(False, "；".join(faults))
    return Decision(True, "；".join(dict.fromkeys(f"有{found}" for found in satisfying(rule, seen))))


def evidence(summaries: Iterable[Summary]) -> Iterator[Seen]:
    """The entries of all photos that count as evidence, in order. `summaries`: canonical."""
    for photo, summary in enumerate(summaries, 1):
        for entry in summary.entries:
            if is_evidence(entry):
                yield Seen(photo, entry)


def is_evidence(entry: Entry) -> bool:
    """Whether an entry counts for pass or fail."""
    return not entry.doubtful and entry.count != 0


def requirements(rule: Rule, seen: Sequence[Seen]) -> list[tuple[Pattern, ...]]:
    """What the group must show: one entry that matches any pattern of each. Those of conditions come last."""
    return [*rule.require, *(condition.need for condition in rule.when if first_seen([condition.seen], seen))]


def first_seen(patterns: Iterable[Pattern], seen: Iterable[Seen]) -> Seen | None:
    """The first entry that matches any of the patterns."""
    wanted = list(patterns)
    return next((found for found in seen if any(pattern.matches(found.entry) for pattern in wanted)), None)


def _too_few(rule: Rule, photos: int) -> Iterator[str]:
    if rule.min_photos is not None and photos < rule.min_photos:
        yield f"照片只有{photos}张，少于要求的{rule.min_photos}张"


def _forbidden(rule: Rule, seen: Sequence[Seen]) -> Iterator[str]:
    for pattern in rule.forbid:
        if found := first_seen([pattern], seen):
            yield f"{found}，属于不允许的{pattern.text}"


def _missing(rule: Rule, seen: Sequence[Seen]) -> Iterator[str]:
    for wanted in rule.require:
        if not first_seen(wanted, seen):
            yield f"没有看到{either(wanted)}"
    for condition in rule.when:
        found = first_seen([condition.seen], seen)
        if found and not first_seen(condition.need, seen):
            yield f"有{found}，但没有看到{either(condition.need)}"


def satisfying(rule: Rule, seen: Sequence[Seen]) -> Iterator[Seen]:
    """The first entry that meets each requirement, of those that are met."""
    for wanted in requirements(rule, seen):
        if found := first_seen(wanted, seen):
            yield found


def either(patterns: Iterable[Pattern]) -> str:
    """A requirement by name: `A 或 B`."""
    return " 或 ".join(pattern.text for pattern in patterns)
