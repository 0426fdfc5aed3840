"""The two sides of a dataset: the groups of train.jsonl and those of val.jsonl."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from yanshou.stage_b.examples import Example


@dataclass(frozen=True, slots=True)
class Sides:
    """The groups of a dataset, or those of one of its missions."""

    train: Sequence[Example]
    val: Sequence[Example]

    @classmethod
    def of(cls, examples: Iterable[Example], val_ids: Collection[str]) -> Self:
        """`val_ids`: the ids of the groups of val."""
        sides: dict[bool, list[Example]] = {False: [], True: []}
        for example in examples:
            sides[example.group_id in val_ids].append(example)
        return cls(sides[False], sides[True])

    @property
    def all(self) -> list[Example]:
        return [*self.train, *self.val]

    def missions(self) -> dict[str, "Sides"]:
        """The sides of each mission."""
        names = dict.fromkeys(example.mission for example in self.all)
        return {name: Sides(_of(name, self.train), _of(name, self.val)) for name in names}


def _of(mission: str, examples: Iterable[Example]) -> list[Example]:
    return [example for example in examples if example.mission == mission]
