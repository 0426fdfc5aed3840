"""What the page gets of a group: its photos' entries, with the words that matter for the mission's rule.

    {"id": 4503599627370496, "mission": "挡风板安装检查", "machine": null,
     "photos": [{"id": 81985529216486895, "entries": [[["挡风板/华为,", false], ["安装方向正确", true]]]}]}

Words matter where an entry matches a pattern of the rule, whichever: a pattern that fails a group and one that lets it
pass are marked alike, because a reader is not to see what the machine makes of them. Entries are compared in their
canonical spelling and shown in their own. What `yanshou.missions.rules` takes for no evidence has no mark.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from yanshou.missions import Pattern, Rule
from yanshou.review.store.queue import GroupToRead, MachineSide
from yanshou.schema.summary import Entry, parse, pieces

Segment = tuple[str, bool]  # text, and whether it matters


def group(found: GroupToRead, rule: Rule | None, machine: MachineSide | None) -> dict[str, Any]:
    """A group as JSON. machine: only where the reader is to see it before they answer (open mode)."""
    patterns = all_patterns(rule) if rule else ()
    return {
        "id": found.id,
        "mission": found.mission,
        "photos": [{"id": photo.id, "entries": entries(photo.summary or "", patterns)} for photo in found.photos],
        "machine": None if machine is None else before_answer(machine),
    }


def after_answer(side: MachineSide) -> dict[str, Any]:
    """The machine's side of a group that the reader has answered."""
    return before_answer(side) | {"audit": side.audit}


def before_answer(side: MachineSide) -> dict[str, Any]:
    """The machine's side in open mode. Whether the group is in an audit sample is no part of it."""
    return {
        "group_id": side.group_id,
        "folder": side.folder,
        "verdict": side.verdict,
        "p_pass": side.p_pass,
        "decision": side.decision,
        "reason": side.reason if side.reason is not None else side.fault,
        "rules": side.rules_verdict,
        "rules_reason": side.rules_reason,
    }


def all_patterns(rule: Rule) -> tuple[Pattern, ...]:
    """Every pattern of the rule, whatever it means for the verdict."""
    conditions = ((condition.seen, *condition.need) for condition in rule.when)
    return tuple(dict.fromkeys(chain(*rule.require, rule.forbid, *conditions)))


def entries(summary: str, patterns: tuple[Pattern, ...]) -> list[list[Segment]]:
    """The entries of a summary line, each in segments that give its text when they are joined."""
    return [_segments(piece, patterns) for piece in pieces(summary)] if summary else []


def _segments(piece: str, patterns: tuple[Pattern, ...]) -> list[Segment]:
    segments: list[Segment] = []
    done = 0
    for entry in parse(piece).entries:  # one, or none where there is nothing between two commas
        for word in _words_that_matter(entry, patterns):
            at = piece.index(word, done)
            segments += [(piece[done:at], False), (word, True)]
            done = at + len(word)
    return [segment for segment in (*segments, (piece[done:], False)) if segment[0]]


def _words_that_matter(entry: Entry, patterns: tuple[Pattern, ...]) -> Iterator[str]:
    """Words of the entry in its own spelling, in their order."""
    canonical = entry.canonical()
    if canonical.doubtful or canonical.count == 0:
        return
    wanted = frozenset(chain.from_iterable(_words(one) for one in patterns if one.matches(canonical)))
    own, known = list(_path(entry)), list(_path(canonical))
    if len(own) < len(known):  # 标签无法识别: one word for a category and its value
        yield from own if wanted.intersection(known) else ()
    else:  # spaces before 备注 can make own values of what is a note: behind all that matters
        found = ((word, meaning) for word, meaning in zip(own, known, strict=False) if word and meaning in wanted)
        yield from (meaning if meaning in word else word for word, meaning in found)


def _path(entry: Entry) -> Iterator[str]:
    yield entry.category
    yield from chain.from_iterable(entry.levels)


def _words(pattern: Pattern) -> frozenset[str]:
    """A pattern's values say what matters; one without values is about the category itself."""
    return pattern.values or frozenset((pattern.category,))
