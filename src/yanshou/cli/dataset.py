"""`yanshou dataset`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from yanshou.cli.command import command, json_option
from yanshou.cli.messages import print_json, print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import DatasetSettings

if TYPE_CHECKING:
    from yanshou.stage_b.card import Card

LISTED = 20  # groups left out of a dataset that are printed


@command("Builds training data from labelled Stage-A files.")
@settings_options(DatasetSettings, arguments={"stage_a": "FILE..."})
@json_option
def dataset(settings: DatasetSettings, as_json: bool) -> None:
    """Builds Stage-B's training data from labelled Stage-A files: train.jsonl and val.jsonl for ms-swift."""
    from yanshou.cli.reporter import print_tables
    from yanshou.cli.tables import dataset_tables
    from yanshou.stage_b.dataset import build_dataset

    card = build_dataset(settings)
    print_warnings(card.warnings)
    if as_json:
        print_json(card.model_dump())
        return
    print_tables(dataset_tables(card))
    for line in _lines(card, settings):
        say(line)


def _lines(card: "Card", settings: DatasetSettings) -> Iterator[str]:
    """Below the tables: groups left out, repeated rows, where the files are."""
    if card.labels:
        yield f"labels of {card.labels}"
    for left_out in card.left_out[:LISTED]:
        yield f"left out: {left_out}"
    if len(card.left_out) > LISTED:
        yield f"… and {len(card.left_out) - LISTED} more, all in dataset.card.json"
    if settings.verdicts:
        train = card.files["train.jsonl"]
        yield f"train.jsonl: {train.rows} rows for {train.groups} groups"
    yield f"train.jsonl, val.jsonl, dataset.card.json: {settings.output_dir}"
