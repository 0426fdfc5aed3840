"""The summary line's grammar: what one photo shows, as text and as parts.

    BBU设备/华为,只显示部分,机柜空间充足需要安装/这个BBU设备按要求配备了挡风板×1，螺丝、光纤插头/BBU安装螺丝,符合要求×2，光纤/需复核备注:部分遮挡×1
    └─ category   └─ level 1, values joined by ,    └─ level 2, below a /    └─ count                     └─ note

`，` separates entries, `/` goes down one level, the half-width `,` joins the values of a level, `、` is part of names.
The line is model output, so `parse` takes any text and never raises: what fits no rule is kept unchanged, and
`problems` names it. `str(parse(line))` equals `line`, with one exception: entries in the older notation, which has
every value after a `/` (`BBU设备/华为/显示完整/无需安装×1`), are written in the notation above.

`canonical()` unifies other spellings (`螺丝/…`, `标签无法识别`, `需复核,备注:…`, spaces beside marks). Two lines mean
the same if their canonical forms are equal. `yanshou.missions.rules` says what the words mean for a verdict.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

TAG = "标签"  # free text: whatever is printed on the tag
IRRELEVANT = "无关图片"  # the whole line of a photo that has nothing to do with the job
DOUBT = "需复核"
TIGHT_BEND = "弯曲半径不合理(弯曲半径<4cm或者成环)"  # one value, including the brackets
COUNT_LIMIT = 100  # more objects than a photo can show; models that repeat themselves have counted to 17,953

_DEVICE = ("华为", "中兴", "爱立信", "显示完整", "只显示部分")

# Category → the values of its first level, then those of the second.
VOCABULARY: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "BBU设备": (
        (*_DEVICE, "无需安装", "机柜空间充足需要安装"),
        ("这个BBU设备按要求配备了挡风板", "这个BBU设备未按要求配备挡风板"),
    ),
    "挡风板": ((*_DEVICE, "安装方向正确", "安装方向错误"),),
    "螺丝、光纤插头": (
        (
            *("BBU安装螺丝", "机柜处接地螺丝", "地排处接地螺丝", "ODF端光纤插头", "BBU端光纤插头"),
            *("符合要求", "不符合要求"),
        ),
        ("未拧紧", "露铜", "复接", "生锈"),
    ),
    "光纤": (
        ("有保护措施", "无保护措施", "弯曲半径合理", TIGHT_BEND),
        ("蛇形管", "铠装", "同时有蛇形管和铠装"),
    ),
    "电线": (("捆扎整齐", "分布散乱"),),
    TAG: (),
    IRRELEVANT: (),
}
OTHER_NAMES: Mapping[str, str] = {"螺丝": "螺丝、光纤插头", "标签无法识别": "标签/无法识别"}

_COUNT = re.compile(r"×(0|[1-9][0-9]{0,999})\Z")  # int() refuses more than 4,300 digits
_NOTE = re.compile(r",?备注[:：,]")
_NOTE_MARKS = re.compile(r"(?:,?备注[:：,])+")
# Matches a run of spaces from its first one only: from each of them, time would grow with the square of their number.
_SPACED_MARK = re.compile(r"(?:(?<!\s)\s++)?([，,/×:：])\s*+|(?<!\s)\s++(?=备注)")
_TIGHT_BEND = re.compile(r"弯曲半径不合理(?:[(（].*)?")  # some models drop the `<`, others the whole bracket
_ENTRY_START = re.compile(rf"\s*(?:{'|'.join(map(re.escape, (*VOCABULARY, *OTHER_NAMES)))})\s*[/×]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of object in the photo, and how many of them."""

    category: str  # "" for a note without a category, and for an empty entry between two commas
    levels: tuple[tuple[str, ...], ...] = ()  # from the top down; each level has its values in order
    note: str = ""  # verbatim, including its mark: "备注:无法判断品牌", ",备注:部分遮挡"
    count: int | None = None  # None: no ×N

    def __str__(self) -> str:
        path = "/".join((self.category, *map(",".join, self.levels)))
        return path + self.note + ("" if self.count is None else f"×{self.count}")

    @property
    def values(self) -> frozenset[str]:
        """The values of all levels."""
        return frozenset(chain.from_iterable(self.levels))

    @property
    def doubtful(self) -> bool:
        """Whether the entry is left to a person (需复核): it is no evidence for pass or for fail."""
        return any(DOUBT in text for text in (self.category, *self.values))

    def canonical(self) -> "Entry":
        """This entry in its one spelling. Changes names and marks, never the meaning."""
        return _canonical_entry(self)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one photo shows: its entries, in the line's order."""

    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        return "，".join(map(str, self.entries))

    def canonical(self) -> "Summary":
        """The same entries in the same order, each in its one spelling."""
        return Summary(tuple(entry.canonical() for entry in parse(_tidy(str(self))).entries))


def parse(line: str) -> Summary:
    """The parts of any text. What does not fit the grammar is kept in an entry's category, values or note."""
    return Summary(tuple(map(_parse_entry, pieces(line))) if line else ())


def problems(summary: Summary) -> list[str]:
    """One line for each word outside the vocabulary and each impossible count, naming the entry."""
    return [
        f"entry {number} ({entry}): {problem}"
        for number, entry in enumerate(summary.entries, 1)
        for problem in (*word_problems(entry), *count_problems(entry))
    ]


def word_problems(entry: Entry) -> Iterator[str]:
    """Words outside the vocabulary, and entries without words. Spellings that `canonical` knows are no problem."""
    entry = entry.canonical()
    known = VOCABULARY.get(entry.category)
    if not entry.category and not entry.levels:
        if not entry.note:
            yield "empty: there is nothing between two commas"
    elif known is None:
        yield f"unknown category {entry.category!r}, known categories are {'; '.join(VOCABULARY)}"
    elif not entry.levels and entry.category != IRRELEVANT:
        yield "no values, only a category"
    elif entry.category != TAG:
        yield from _value_problems(entry, known)


def count_problems(entry: Entry) -> Iterator[str]:
    """A count that is missing, zero, or higher than a photo can show. A note without a category needs none."""
    entry = entry.canonical()
    if entry.count is None:
        if entry.category:
            yield "no count: ×N is missing"
    elif not 1 <= entry.count <= COUNT_LIMIT:
        yield f"count {entry.count} is not between 1 and {COUNT_LIMIT}"


def _value_problems(entry: Entry, known: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    for depth, level in enumerate(entry.levels):
        expected = known[depth] if depth < len(known) else ()
        for value in level:
            if value not in (*expected, DOUBT):
                yield f"unknown value {value!r} on level {depth + 1} of {entry.category}"


def pieces(line: str) -> Iterator[str]:
    """The line's entries as text, in its own spelling.

    A note may hold `，`: it ends at its ×N, or before an entry of a known category.
    """
    held: list[str] = []
    in_note = False
    for piece in line.split("，"):
        if held and not (in_note and not _ENTRY_START.match(piece)):
            yield "，".join(held)
            held, in_note = [], False
        held.append(piece)
        in_note = (in_note or _NOTE.search(piece) is not None) and _COUNT.search(piece) is None
    yield "，".join(held)


@lru_cache(maxsize=4096)  # as for canonical entries, below
def _parse_entry(piece: str) -> Entry:
    text, count = piece, None
    if counted := _COUNT.search(piece):
        text, count = piece[: counted.start()], int(counted[1])
    marked = _NOTE.search(text)
    note = text[marked.start() :] if marked else ""
    path = text.removesuffix(note)
    category, slash, rest = path.partition("/")
    if category == TAG:
        return Entry(category, ((rest,),) if slash else (), note, count)
    levels = tuple(tuple(level.split(",")) for level in rest.split("/")) if slash else ()
    return Entry(category, _regrouped(category, levels), note, count)


def _regrouped(category: str, levels: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Levels of the older notation (one value per level), moved to the levels of the vocabulary."""
    known = VOCABULARY.get(OTHER_NAMES.get(category, category), ())
    values = [level[0] for level in levels if len(level) == 1]
    depths = [depth for value in values for depth, words in enumerate(known) if value in words]
    if len(values) < len(levels) or len(depths) < len(levels) or depths != sorted(depths):
        return levels
    groups = (tuple(v for v, d in zip(values, depths, strict=True) if d == depth) for depth in range(len(known)))
    return tuple(group for group in groups if group)


def _tidy(text: str) -> str:
    """The text without spaces beside marks, which models write and joined line breaks leave."""
    return _SPACED_MARK.sub(r"\1", text).strip()


@lru_cache(maxsize=4096)  # most entries of a run are among a few hundred different ones
def _canonical_entry(entry: Entry) -> Entry:
    entry = _renamed(_parse_entry(_tidy(str(entry))))
    if entry.category != TAG:
        entry = replace(entry, levels=tuple(tuple(map(_canonical_value, level)) for level in entry.levels))
    return replace(entry, note=_canonical_note(entry))


def _renamed(entry: Entry) -> Entry:
    if entry.category == "标签无法识别" and not entry.levels:
        return replace(entry, category=TAG, levels=(("无法识别",),))
    if entry.category == "螺丝":
        return replace(entry, category=OTHER_NAMES["螺丝"])
    return entry


def _canonical_value(value: str) -> str:
    return TIGHT_BEND if _TIGHT_BEND.fullmatch(value) else value


def _canonical_note(entry: Entry) -> str:
    if not entry.note:
        return ""
    text = _NOTE_MARKS.sub("", entry.note, count=1)
    glued = not entry.category or (entry.levels and entry.levels[-1][-1].endswith(DOUBT))
    return ("," if entry.note.startswith(",") and not glued else "") + "备注:" + text
