"""Groups of one mission that have the same summaries, in any order, and different labels.

A model that judges by the summaries gives all of them the same verdict, so it is wrong on the rarer label of each
contradiction.
"""

from collections.abc import Iterable

from pydantic import Field

from yanshou.schema.records import Label, Record
from yanshou.stage_b.examples import Example


class Contradiction(Record):
    """Groups with the same summaries and different labels."""

    mission: str
    summaries: list[str]  # sorted
    passed: list[str] = Field(min_length=1)  # group ids
    failed: list[str] = Field(min_length=1)

    @property
    def groups(self) -> int:
        return len(self.passed) + len(self.failed)

    @property
    def wrong(self) -> int:
        """The number of these groups that a model gets wrong at least."""
        return min(len(self.passed), len(self.failed))


def find_contradictions(examples: Iterable[Example]) -> list[Contradiction]:
    """The contradictions, in the order of their first groups."""
    ids: dict[tuple[str, tuple[str, ...]], dict[Label, list[str]]] = {}
    for example in examples:
        content = (example.mission, tuple(sorted(example.summaries)))
        ids.setdefault(content, {"pass": [], "fail": []})[example.label].append(example.group_id)
    return [
        Contradiction(mission=mission, summaries=list(summaries), passed=labels["pass"], failed=labels["fail"])
        for (mission, summaries), labels in ids.items()
        if labels["pass"] and labels["fail"]
    ]
