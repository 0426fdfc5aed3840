"""The contents of a dataset in figures: `dataset.card.json`.

    {"settings": {"stage_a": […], "val_fraction": 0.1, …},
     "files": {"train.jsonl": {"groups": 2235, "rows": 2235, "sha256": "…"}, …},
     "overall": {"groups": 2484, "photos": 8218, "train": {"pass": …, "fail": …}, "val": …, "best_accuracy": …, …},
     "missions": {"挡风板安装检查": {the same figures}, …},
     (each with "against_rule": 120, "against_rule_share": 0.05,
      "twins": {"sets": 13, "groups": 29, "disagreement": 0.08, "label_noise": {"share": 0.04, …}, …},
      "shortcut": {"feature": "需复核", "auc": 0.9, …})
     "contradictions": [{"mission": …, "summaries": […], "passed": ["QC-…"], "failed": ["QC-…"]}, …],
     "left_out": [{"group_id": …, "mission": …, "label": …, "reason": …}], "warnings": ["…"]}

The figures are about train and val together, without the groups that were left out. `best_accuracy` is what a model
that judges by the summaries can reach at best: `contradictions.py`.

`against_rule` counts the groups whose label the mission's rule contradicts on these summaries. No reason for such a
label is true, so the reward `grounded` leaves these groups out.

Twins and what their labels say are described in `twins.py`, the shortcut in `shortcut.py`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from yanshou.missions import Missions
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.records import GroupRecord, Record
from yanshou.settings import DatasetSettings
from yanshou.stage_b.contradictions import Contradiction
from yanshou.stage_b.dataset_figures import LABELS, DatasetFigures, Pitfalls, dataset_figures
from yanshou.stage_b.examples import Example
from yanshou.stage_b.sides import Sides
from yanshou.stage_b.split import share_warnings
from yanshou.stage_b.twins import twin_warnings

DATE = re.compile(r"\d{4}-\d\d-\d\d")


class DataFile(Record):
    """One file of the dataset."""

    groups: int
    rows: int  # more than `groups` where groups are repeated
    sha256: str


class LeftOut(GroupRecord):
    """A group that is in neither file, and why."""

    reason: str

    def __str__(self) -> str:
        return f"group {self.key}: {self.reason}"


class Card(Record):
    """The content of `dataset.card.json`."""

    settings: dict[str, Any]
    files: dict[str, DataFile]
    overall: DatasetFigures
    missions: dict[str, DatasetFigures]
    contradictions: list[Contradiction]
    left_out: list[LeftOut]
    labels: LabelsUsed | None  # null: no labels files
    warnings: list[str]


def build_card(
    settings: DatasetSettings,
    sides: Sides,
    files: Mapping[str, DataFile],
    left_out: Sequence[LeftOut],
    warnings: Iterable[str] = (),
    labels: LabelsUsed | None = None,
    missions: Missions | None = None,
) -> Card:
    """The card of a dataset with at least one group on each side. `warnings`: about what was read.

    `missions`: their rules contradict some labels, and name features that rightly predict the label. None: unknown.
    """
    parts = sides.missions()
    rules = {name: missions.get(name).rule if missions else None for name in parts}
    pitfalls = {name: Pitfalls.of_mission(part.all, rules[name]) for name, part in parts.items()}
    together = Pitfalls.of_all(list(pitfalls.values()))
    figures = {name: dataset_figures(part, pitfalls[name]) for name, part in parts.items()}
    return Card(
        settings=settings.model_dump(mode="json", exclude={"output_dir"}),  # the same data, the same card
        files=dict(files),
        overall=dataset_figures(sides, together),
        missions=figures,
        contradictions=together.contradictions,
        left_out=list(left_out),
        labels=labels,
        warnings=[
            *warnings,
            *chain.from_iterable(_warnings(*mission) for mission in figures.items()),
            *_share_warnings(sides, settings.val_fraction),
            *_dated(sides.all),
            *_omitted(left_out),
        ],
    )


def _warnings(mission: str, figures: DatasetFigures) -> Iterable[str]:
    labels = figures.labels()
    for label in LABELS:
        if labels[label] == figures.groups:
            yield (
                f"{mission}: all {figures.groups} groups have the label {label}: nothing can be learned or measured "
                "from one label"
            )
        for name, side in (("train", figures.train), ("val", figures.val)):
            if labels[label] and not side[label]:
                yield f"{mission}: no group with the label {label} in {name}; the mission has too few ({labels[label]})"
    if figures.shortcut and figures.shortcut.suspicious:
        yield figures.shortcut.warning(mission)
    yield from twin_warnings(mission, figures.twins)


def _share_warnings(sides: Sides, fraction: float) -> Iterable[str]:
    train, val = ([example.labelled_key for example in side] for side in (sides.train, sides.val))
    return share_warnings(train, val, fraction)


def _dated(examples: Sequence[Example]) -> Iterable[str]:
    if all(DATE.match(example.group_id) for example in examples):
        yield (
            "all group ids are dates, which datasets.load_dataset turns into times. To keep them as text, use "
            "Dataset.from_list([json.loads(line) for line in open(…)])"
        )


def _omitted(left_out: Sequence[LeftOut]) -> Iterable[str]:
    if left_out:
        yield f"{len(left_out)} groups are left out; left_out in the card lists them. The first: {left_out[0]}"
