"""Training data for Stage-B: Stage-A files in, `train.jsonl` and `val.jsonl` out, one line per group.

    {"messages": [{"role": "system", "content": "你是通信机房工程验收员，…"},
                  {"role": "user", "content": "检查项：挡风板安装检查\\n…图片_1: 挡风板/华为,显示完整,安装方向正确×1"}],
     "solution": "通过", "group_id": "QC-TEMP-20241022-0015062", "mission": "挡风板安装检查",
     "summaries": ["挡风板/华为,显示完整,安装方向正确×1"], "image_paths": ["/data/挡风板安装检查/审核通过/…/….jpeg"]}

ms-swift reads the files as they are. For TRL, rename the column of messages:

    load_dataset("json", data_files="train.jsonl").rename_column("messages", "prompt")

Where all ids are dates (2024-10-22), load_dataset turns them into times, even against its `features`; the card warns.
This keeps them as text:

    Dataset.from_list([json.loads(line) for line in open("train.jsonl", encoding="utf-8")])

A photo's path contains its label, and ids are easily memorised, so messages contain neither. Summaries are copied
unchanged. A group whose summaries contain a label's folder, a path, the id or a token of the chat template is left out
and listed in `dataset.card.json`. The card holds the files' checksums. A killed run leaves the old files or the new
ones, or a set without its card (`storage/file_set.py`), which `train` and `evaluate` refuse.

With labels files, `solution` is the label of the latest row about the group, and a column `label_given` holds the
folder's label ("": none), which is part of the group's identity.

Groups that the checkpoint always judges right teach it nothing. Given the checkpoint's verdicts, the groups that it
judges wrong are repeated in train.jsonl.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from yanshou.errors import InputError
from yanshou.missions import load_missions
from yanshou.missions.rules import LABEL_WORDS
from yanshou.schema.records import unbound_warnings
from yanshou.settings import DatasetSettings
from yanshou.stage_b.card import Card, DataFile, LeftOut, build_card
from yanshou.stage_b.dataset_files import CARD, TRAIN, VAL
from yanshou.stage_b.examples import Example, read_examples
from yanshou.stage_b.misjudged import read_misjudged
from yanshou.stage_b.shared_photos import check_shared_photos, twice_under_one_label
from yanshou.stage_b.sides import Sides
from yanshou.stage_b.split import links, validation_ids
from yanshou.stage_b.tokens import count_tokens
from yanshou.stage_b.twins import find_twins
from yanshou.storage.file_set import replace_together
from yanshou.storage.jsonl import dump_line
from yanshou.storage.labels_file import read_labels
from yanshou.storage.lock import Lock
from yanshou.storage.stale_counts import stale_warnings
from yanshou.text import SPECIAL_TOKEN, excerpt

logger = logging.getLogger(__name__)

LOCK = ".dataset.lock"
ID_LENGTH = 8  # characters; a shorter id ("1") may occur in a summary by chance
SWIFT_TAG = re.compile(r"<(?:image|video|audio|bbox|ref-object)>")  # ms-swift replaces these


def build_dataset(settings: DatasetSettings) -> Card:
    """Writes the files of a dataset and returns its card. Where it raises, nothing is written.

    Raises InputError and DamagedFileError, naming file, line and key; CheckpointError; OutputError; LockedError where
    another run is writing.
    """
    missions = load_missions(settings.mission_files)
    labels = read_labels(settings.labels, missions)
    examples, unlabelled = read_examples(settings.stage_a, missions, labels)
    keys = [*(example.key for example in examples), *unlabelled]
    photos = [example.photos for example in examples]
    shared = check_shared_photos(photos, allowed=settings.allow_shared_photos)
    summaries = {example.key: example.summaries_sha256 for example in examples}
    misjudged = read_misjudged(settings.verdicts, missions, summaries, labels)
    kept, left_out = _sort_out(examples, settings)
    left_out = [*(LeftOut(**key._asdict(), reason=reason) for key, reason in unlabelled.items()), *left_out]
    _check_enough(kept, left_out, settings)
    sides, all_linked = _split(kept, settings)
    repeats = dict.fromkeys(misjudged.groups, settings.repeats)
    data = {
        TRAIN: b"".join(dump_line(example.row) * repeats.get(example.key, 1) for example in sides.train),
        VAL: b"".join(dump_line(example.row) for example in sides.val),
    }
    files = {TRAIN: _describe(data[TRAIN], len(sides.train)), VAL: _describe(data[VAL], len(sides.val))}
    warnings = [
        *stale_warnings([*settings.stage_a, *settings.verdicts]), *unbound_warnings(misjudged.unbound), *shared,
        *labels.warnings(keys), *twice_under_one_label(photos), *all_linked,
    ]  # fmt: skip
    card = build_card(settings, sides, files, left_out, warnings, labels.used(keys), missions)
    data[CARD] = dump_line(card, indent=1)
    with Lock(settings.output_dir / LOCK, settings.output_dir):
        replace_together({settings.output_dir / name: content for name, content in data.items()})
    logger.info("%s: %s", settings.output_dir, {name: file.rows for name, file in files.items()})
    return card


def _check_enough(kept: Sequence[Example], left_out: Sequence[LeftOut], settings: DatasetSettings) -> None:
    """Raises InputError where two files cannot have a group each."""
    if not kept:
        first = f" The first of {len(left_out)} left out: {left_out[0]}." if left_out else ""
        raise InputError(f"{', '.join(map(str, settings.stage_a))}: no group to train on.{first} Give other files.")
    if len({example.group_id for example in kept}) == 1:
        raise InputError(f"group {kept[0].key} is the only one, but train and val need one each. Give more groups.")


def _split(examples: Sequence[Example], settings: DatasetSettings) -> tuple[Sides, list[str]]:
    """The two sides, and a warning where twins cannot be kept on one of them."""
    twins = find_twins((example.labelled_key, example.summaries) for example in examples)
    linked, warnings = links((example.group_id for example in examples), [same.ids for same in twins])
    keys = (example.labelled_key for example in examples)
    return Sides.of(examples, validation_ids(keys, settings.val_fraction, settings.seed, linked)), warnings


def _describe(content: bytes, groups: int) -> DataFile:
    return DataFile(groups=groups, rows=content.count(b"\n"), sha256=sha256(content).hexdigest())


def _sort_out(examples: Sequence[Example], settings: DatasetSettings) -> tuple[list[Example], list[LeftOut]]:
    """The examples with their tokens counted, and the groups that cannot be used, both in input order."""
    faults = [_gives_away(example) for example in examples]
    fitting = [example for example, fault in zip(examples, faults, strict=True) if not fault]
    prompts = [example.prompt for example in fitting]
    counts = iter(count_tokens(prompts, settings.checkpoint, settings.base_checkpoint))
    kept: list[Example] = []
    left_out: list[LeftOut] = []
    for example, fault in zip(examples, faults, strict=True):
        tokens = 0 if fault else next(counts)
        if reason := fault or _too_long(tokens, settings.max_prompt_tokens):
            left_out.append(LeftOut(**example.key._asdict(), reason=reason))
        else:
            kept.append(replace(example, tokens=tokens))
    return kept, left_out


def _too_long(tokens: int, longest: int | None) -> str:
    return f"its prompt has {tokens} tokens, more than {longest}" if longest and tokens > longest else ""


def _gives_away(example: Example) -> str:
    """What the prompt must not contain and does, or "": see the top of this file."""
    text = example.prompt.user
    for word in LABEL_WORDS:
        if word in text:
            return f"its prompt contains {word}, a label's folder"
    if _contains_a_path(text, example.image_paths):
        return "its prompt contains the path of a photo"
    if len(example.group_id) >= ID_LENGTH and example.group_id in text:
        return "its prompt contains its id"
    if token := SPECIAL_TOKEN.search(text) or SWIFT_TAG.search(text):
        return f"its prompt contains {excerpt(token[0])}, which a chat template or ms-swift does not read as text"
    return ""


def _contains_a_path(text: str, paths: Sequence[str]) -> bool:
    folders = {path.rpartition("/")[0] for path in paths}  # one for thousands of photos, so that each is not searched
    return any(folder in text for folder in folders) and any(path in text for path in paths if path)
