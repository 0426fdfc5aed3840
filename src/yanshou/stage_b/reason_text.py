"""The grammar of reasons: what a reason says, whether it is true or not.

    reason = part { part };  between the parts, and inside them where … is shown, free words may be written

    part                                            claim
    图片_1 … entry { ，entry }                       Cited      the photo shows this entry
    图片_1 entry，属于不允许的pattern                 Cited      … and the mission's rule forbids it, by this pattern
    图片_1 entry，但…                                 Cited      … which is conceded: something else decides
    没有看到pattern { 或 pattern }                    Missing    no photo shows any of these
    照片只有2张，少于要求的3张                         TooFew     the group has too few photos

An entry is one of the summary line, with its ×N, and a pattern is one of the mission's rule. Both are read in any
spelling that `Entry.canonical` unifies. What follows 图片_1 without being an entry, or an attempt at one, is free
(图片_1 很清楚). Any text can be read, and reading never raises.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from yanshou.missions.rules import Pattern, Rule
from yanshou.schema.summary import OTHER_NAMES, VOCABULARY, Entry, Summary, parse, pieces, word_problems

_PART = re.compile(r"图片_([0-9]+)|没有看到|照片只有([0-9]+)张[，,]\s*少于要求的([0-9]+)张")
_NEXT = re.compile(r"图片_[0-9]|没有看到|[；;。\n]")  # ends the words about a photo
_KNOWN = "|".join(sorted(map(re.escape, (*VOCABULARY, *OTHER_NAMES)), key=len, reverse=True))
_ENTRY = re.compile(rf"(?:{_KNOWN})\s*[/×]")
_ANOTHER = re.compile(rf"\s*[，、和]\s*(?={_ENTRY.pattern})")
_SPACE = re.compile(r"[\s:：]*")
_SHAPE = re.compile(r"/|×[0-9]")  # of an attempt at an entry
_COUNT = re.compile(r"×[0-9]+\Z")
_COUNTED = re.compile(r".*?×[0-9]+", re.DOTALL)
_FORBIDDEN = re.compile(r"\s*[，,]?\s*属于不允许的\s*")
_CONCEDED = re.compile(r"\s*[，,]?\s*但")
_OR = re.compile(r"\s*或\s*")
_END = re.compile(r"[\s，,；;。、或）)]|\Z")  # may follow a pattern, and an entry without ×N
_NAME = re.compile(r"(?:(?!\s或\s)[^，；;。\n])*")
_DIGITS = 6  # at most, of a photo's number or a number of photos; more are as wrong as these


@dataclass(frozen=True, slots=True)
class Cited:
    """A photo is said to show an entry."""

    photo: int
    text: str  # as the reason spells it
    entry: Entry | None  # canonical; None: an attempt at an entry, broken off or with unknown words
    forbidden_by: Pattern | None = None  # the pattern that is said to forbid it
    conceded: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """No photo is said to show an entry that matches any of these patterns."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class TooFew:
    """The group is said to have fewer photos than the rule asks for."""

    photos: int
    asked: int


Claim = Cited | Missing | TooFew
T = TypeVar("T")


class ReasonReader:
    """Reads reasons about the group with these summaries, under this rule."""

    def __init__(self, rule: Rule, summaries: Sequence[Summary]) -> None:
        needs = (condition.need for condition in rule.when)
        patterns = chain(rule.forbid, *rule.require, *needs)
        self.photos = [summary.canonical() for summary in summaries]
        self._entries = [_by_text(*pair) for pair in zip(summaries, self.photos, strict=True)]
        self._patterns = _longest_first({pattern.text: pattern for pattern in patterns})

    def claims(self, reason: str) -> Iterator[Claim]:
        """What the reason says, in its order."""
        at = 0
        while part := _PART.search(reason, at):
            at = part.end()
            if part[1]:
                cited, at = self._cited(reason, at, _number(part[1]))
                yield from cited
            elif part[2]:
                yield TooFew(_number(part[2]), _number(part[3]))
            else:
                patterns, at = self._missing(reason, at)
                if patterns:
                    yield Missing(patterns)

    # Each of these returns what begins at a place, and the place behind it.

    def _cited(self, text: str, at: int, photo: int) -> tuple[list[Cited], int]:
        cited: list[Cited] = []
        shown = self._entries[photo - 1] if 1 <= photo <= len(self._entries) else {}
        start = _entry_start(text, _behind(_SPACE, text, at), shown)
        while start is not None:
            entry, at = _entry(text, start, shown)
            spelt = text[start:at]
            forbidden_by, at = self._forbidden_by(text, at)
            cited.append(Cited(photo, spelt, entry, forbidden_by, _CONCEDED.match(text, at) is not None))
            start = another.end() if (another := _ANOTHER.match(text, at)) else None
        return cited, at

    def _forbidden_by(self, text: str, at: int) -> tuple[Pattern | None, int]:
        said = _FORBIDDEN.match(text, at)
        pattern, behind = self._pattern(text, said.end()) if said else (None, at)
        return (pattern, behind) if pattern else (None, at)

    def _missing(self, text: str, at: int) -> tuple[tuple[Pattern, ...], int]:
        patterns: list[Pattern] = []
        begin: int | None = _behind(_SPACE, text, at)
        while begin is not None:
            named, behind = self._pattern(text, begin)
            if named is None:
                break
            patterns.append(named)
            at, begin = behind, other.end() if (other := _OR.match(text, behind)) else None
        return tuple(patterns), at

    def _pattern(self, text: str, at: int) -> tuple[Pattern | None, int]:
        """A pattern of the rule, or another one; None where the words are free."""
        for spelt, own in self._patterns.items():
            if text.startswith(spelt, at) and _END.match(text, at + len(spelt)):
                return own, at + len(spelt)
        name = text[at : _behind(_NAME, text, at)]
        pattern = _parsed(name)
        return pattern, at + len(name) if pattern else at


def _by_text(summary: Summary, canonical: Summary) -> dict[str, Entry]:
    """The photo's entries, canonical, by their spelling in the summary and by the canonical one."""
    known = set(canonical.entries)
    spelt = [(str(entry), entry.canonical()) for entry in summary.entries if entry not in known]
    by_text = {text: entry for text, entry in spelt if entry in known}
    return _longest_first(by_text | {str(entry): entry for entry in known})


def _longest_first(by_text: Mapping[str, T]) -> dict[str, T]:
    return {text: by_text[text] for text in sorted(by_text, key=len, reverse=True) if text}


def _entry_start(text: str, at: int, shown: Mapping[str, Entry]) -> int | None:
    """Where the first entry of these words begins; None: they hold none."""
    if _literal(text, at, shown) is not None:
        return at
    end = _end_of_words(text, at)
    first = at + len(next(pieces(text[at:end])))
    if found := _ENTRY.search(text, at, first):
        return found.start()
    if _SHAPE.search(text, at, first) or text[at:first].strip() in VOCABULARY:
        return at
    return found.start() if (found := _ENTRY.search(text, first, end)) else None


def _entry(text: str, at: int, shown: Mapping[str, Entry]) -> tuple[Entry | None, int]:
    if (spelt := _literal(text, at, shown)) is not None:
        return shown[spelt], at + len(spelt)
    piece = next(pieces(text[at : _end_of_words(text, at)]))
    spelt = (counted[0] if (counted := _COUNTED.match(piece)) else piece).rstrip()
    entries = parse(spelt).canonical().entries
    return entries[0] if len(entries) == 1 and _is_whole(entries[0], shown) else None, at + len(spelt)


def _is_whole(entry: Entry, shown: Mapping[str, Entry]) -> bool:
    return entry in shown.values() or (entry.count is not None and not any(word_problems(entry)))


def _literal(text: str, at: int, shown: Mapping[str, Entry]) -> str | None:
    """The longest of the photo's entries that begins here, as it is spelt."""
    for spelt, entry in shown.items():
        if text.startswith(spelt, at):
            behind = at + len(spelt)
            if (not text[behind : behind + 1].isdigit()) if entry.count is not None else _END.match(text, behind):
                return spelt
    return None


def _parsed(name: str) -> Pattern | None:
    """The pattern that the words are; None: they are free."""
    try:
        return Pattern.parse(_COUNT.sub("", name.strip())) if "/" in name else None
    except ValueError:
        return None


def _end_of_words(text: str, at: int) -> int:
    return end.start() if (end := _NEXT.search(text, at)) else len(text)


def _behind(pattern: re.Pattern[str], text: str, at: int) -> int:
    return match.end() if (match := pattern.match(text, at)) else at


def _number(digits: str) -> int:
    return int(digits[:_DIGITS])
