"""Whether a reason holds: what it says is true of the summaries, and it carries its verdict under the mission's rule.

    outcome         a reason that …                                                     score
    grounded        says nothing false, argues for its verdict, and is complete         1
    incomplete      says nothing false, but does not carry its verdict: a 通过 cites    通过: shown requirements /
                    no entry for some requirement, a 不通过 has no ground, or an        (requirements + idle entries);
                    entry is idle: it argues for nothing                                不通过: 1 / (1 + idle entries),
                                                                                        without a ground 0
    contradicting   says something false, argues for the other verdict, or belongs      0
                    to a verdict that is not the rule's
    unreadable      says nothing in the grammar of `reason_text`, or cites what is      0
                    no whole entry, or is longer than LONGEST

A reason that says nothing is unreadable whatever its verdict. Otherwise `contradicting` comes first, then `unreadable`,
then `incomplete`. So the verdict of a grounded reason is always the rule's.

False are: an entry that the photo's summary does not have; a photo that the group does not have; 没有看到 of something
that is seen; 属于不允许的 of an entry that the pattern does not forbid; a wrong number of photos.

An entry argues for 不通过 if the rule forbids it, and else for 通过 if it shows a requirement: it matches a pattern of
`require`, or of the `need` of a condition that applies. Any other entry argues for nothing, and so does one that is no
evidence (需复核, ×0). An entry may be conceded (有…，但…): it need not argue then, and in a 不通过 it may argue for
通过. Grounds for 不通过 are a forbidden entry, too few photos, and a requirement that nothing shows, named by at least
one of its patterns.

The reasons of `missions.rules.decide` are grounded, for every group.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from yanshou.missions.rules import Pattern, Rule, decide_seen, either, evidence, first_seen, is_evidence, requirements
from yanshou.schema.records import image_key
from yanshou.schema.summary import Entry, Summary
from yanshou.stage_b.reason_text import Cited, Claim, ReasonReader, TooFew

Outcome = Literal["grounded", "incomplete", "contradicting", "unreadable"]
OUTCOMES: tuple[Outcome, ...] = ("grounded", "incomplete", "contradicting", "unreadable")
ProblemKind = Literal[
    "absent", "no_photo", "for_other", "not_forbidden", "is_seen", "wrong_count", "missing_for_pass", "rule",
    "broken", "nothing", "too_long",
    "not_shown", "no_ground", "idle",
]  # fmt: skip
UNREADABLE: frozenset[ProblemKind] = frozenset({"broken", "nothing", "too_long"})
LONGEST = 10_000  # characters of a reason that is read; the time to read one grows with the square


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a reason. `reason_words.explain` puts it into words."""

    kind: ProblemKind
    values: tuple[str, ...] = ()  # what the words name


@dataclass(frozen=True, slots=True)
class ReasonCheck:
    """Whether a reason holds, and what is wrong with it."""

    outcome: Outcome
    score: float  # 0 to 1
    problems: tuple[Problem, ...] = ()

    @property
    def holds(self) -> bool:
        return self.outcome == "grounded"

    @property
    def against_rule(self) -> bool:
        """Whether the verdict is not the rule's."""
        return any(problem.kind == "rule" for problem in self.problems)


class GroupReasons:
    """Checks reasons about one group: its summaries, in the photos' order, under its mission's rule."""

    def __init__(self, rule: Rule, summaries: Iterable[Summary]) -> None:
        self._rule, self._reader = rule, ReasonReader(rule, list(summaries))
        self._photos = [frozenset(summary.entries) for summary in self._reader.photos]
        self._seen = list(evidence(self._reader.photos))
        self.rules = decide_seen(rule, len(self._photos), self._seen)
        self._requirements = requirements(rule, self._seen)

    def check(self, passed: bool, reason: str) -> ReasonCheck:
        """Whether the reason holds, as that of a 通过 (`passed`) or a 不通过."""
        if passed == self.rules.passed and reason.strip() == self.rules.reason.strip():
            return ReasonCheck("grounded", 1.0)  # even where two entries of a photo are spelt so that it reads two ways
        if len(reason) > LONGEST:
            too_long = Problem("too_long", (str(len(reason)), str(LONGEST)))
            return ReasonCheck("unreadable", 0.0, (too_long, *self._other_verdict(passed)))
        return self.check_claims(passed, self.claims(reason))

    def claims(self, reason: str) -> list[Claim]:
        """What the reason says."""
        return list(self._reader.claims(reason))

    def check_claims(self, passed: bool, claims: Sequence[Claim]) -> ReasonCheck:
        """`check`, of a reason that says this."""
        problems = [problem for claim in claims for problem in self._untrue(claim, passed)]
        problems += self._other_verdict(passed)
        if not claims:
            return ReasonCheck("unreadable", 0.0, (Problem("nothing"), *problems))
        short = self._not_shown(claims) if passed else self._no_ground(claims)
        idle = list(self._idle(claims))
        kinds = {problem.kind for problem in problems}
        if kinds - UNREADABLE:
            return ReasonCheck("contradicting", 0.0, tuple(problems))
        if kinds:
            return ReasonCheck("unreadable", 0.0, (*problems, *short, *idle))
        if short or idle:
            needed = len(self._requirements) if passed else 1
            return ReasonCheck("incomplete", (needed - len(short)) / (needed + len(idle)), (*short, *idle))
        return ReasonCheck("grounded", 1.0)

    def _other_verdict(self, passed: bool) -> list[Problem]:
        return [] if passed == self.rules.passed else [Problem("rule", (self.rules.reason,))]

    # ---- what is said ----

    def _untrue(self, claim: Claim, passed: bool) -> Iterator[Problem]:
        """What is false about a claim, or argues for the other verdict."""
        if isinstance(claim, Cited):
            yield from self._untrue_entry(claim, passed)
        elif isinstance(claim, TooFew):
            asked = self._rule.min_photos or 0
            if (claim.photos, claim.asked) != (len(self._photos), asked) or claim.photos >= asked:
                yield Problem("wrong_count", (str(len(self._photos)), str(asked)))
        elif seen := self._seen_instead(claim.patterns):
            yield Problem("is_seen", (either(claim.patterns), str(seen)))
        elif passed:
            yield Problem("missing_for_pass", (either(claim.patterns),))

    def _untrue_entry(self, cited: Cited, passed: bool) -> Iterator[Problem]:
        photo = image_key(cited.photo)
        if not 1 <= cited.photo <= len(self._photos):
            yield Problem("no_photo", (photo, str(len(self._photos))))
        elif cited.entry is None:
            yield Problem("broken", (photo, cited.text))
        elif cited.entry not in self._photos[cited.photo - 1]:
            yield Problem("absent", (photo, cited.text))
        elif cited.forbidden_by and not self._forbids(cited.forbidden_by, cited.entry):
            yield Problem("not_forbidden", (photo, cited.text, cited.forbidden_by.text))
        elif self._argues_for(cited.entry) is (not passed) and (passed or not cited.conceded):
            yield Problem("for_other", (photo, cited.text))

    def _argues_for(self, entry: Entry) -> bool | None:
        """True: for 通过, False: for 不通过, None: for nothing."""
        if not is_evidence(entry):
            return None
        if any(pattern.matches(entry) for pattern in self._rule.forbid):
            return False
        return True if any(_shows(entry, wanted) for wanted in self._requirements) else None

    def _forbids(self, pattern: Pattern, entry: Entry) -> bool:
        same = any(_same(pattern, own) for own in self._rule.forbid)
        return same and is_evidence(entry) and pattern.matches(entry)

    def _seen_instead(self, patterns: Sequence[Pattern]) -> object:
        """An entry that shows what is said to be missing: these patterns, or others of the same requirement."""
        named = [wanted for wanted in self._requirements if _names(patterns, wanted)]
        if any(first_seen(wanted, self._seen) is None for wanted in named):
            return None
        return first_seen((*patterns, *(pattern for wanted in named for pattern in wanted)), self._seen)

    # ---- what is not said ----

    def _not_shown(self, claims: Sequence[Claim]) -> list[Problem]:
        entries = [entry for entry in map(self._true_entry, claims) if entry and is_evidence(entry)]
        return [
            Problem("not_shown", (either(wanted),))
            for wanted in self._requirements
            if not any(_shows(entry, wanted) for entry in entries)
        ]

    def _no_ground(self, claims: Sequence[Claim]) -> list[Problem]:
        return [] if any(map(self._is_ground, claims)) else [Problem("no_ground")]

    def _idle(self, claims: Sequence[Claim]) -> Iterator[Problem]:
        for claim in claims:
            entry = self._true_entry(claim)
            if isinstance(claim, Cited) and entry and not claim.conceded and self._argues_for(entry) is None:
                yield Problem("idle", (image_key(claim.photo), claim.text))

    def _is_ground(self, claim: Claim) -> bool:
        """Of a claim that is true."""
        if isinstance(claim, Cited):
            entry = self._true_entry(claim)
            return entry is not None and self._argues_for(entry) is False
        return isinstance(claim, TooFew) or any(_names(claim.patterns, wanted) for wanted in self._requirements)

    def _true_entry(self, claim: Claim) -> Entry | None:
        """The entry, where the claim cites one that its photo has."""
        if not isinstance(claim, Cited) or not 1 <= claim.photo <= len(self._photos):
            return None
        return claim.entry if claim.entry in self._photos[claim.photo - 1] else None


def _shows(entry: Entry, wanted: Sequence[Pattern]) -> bool:
    return any(pattern.matches(entry) for pattern in wanted)


def _names(patterns: Sequence[Pattern], wanted: Sequence[Pattern]) -> bool:
    """Whether all of these are patterns of one requirement."""
    return all(any(_same(pattern, own) for own in wanted) for pattern in patterns)


def _same(one: Pattern, other: Pattern) -> bool:
    return (one.category, one.values) == (other.category, other.values)
