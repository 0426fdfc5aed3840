"""Stage-B's training data: Stage-A files in, `train.jsonl` and `val.jsonl` out, a line a group.

    {"messages": [{"role": "system", "content": "你是通信机房工程验收员，…"},
                  {"role": "user", "content": "检查项：挡风板安装检查\\n…图片_1: 挡风板/华为,显示完整,安装方向正确×1"}],
     "solution": "通过", "group_id": "QC-TEMP-20241022-0015062", "mission": "挡风板安装检查",
     "summaries": ["挡风板/华为,显示完整,安装方向正确×1"], "image_paths": ["/data/挡风板安装检查/审核通过/…/….jpeg"]}

ms-swift reads the files as they are. TRL calls the messages `prompt`:

    load_dataset("json", data_files="train.jsonl").rename_column("messages", "prompt")

load_dataset takes ids that are all bare dates (2024-10-22) for times, whatever `features` say; the card warns. This
leaves them text:

    Dataset.from_list([json.loads(line) for line in open("train.jsonl", encoding="utf-8")])

A photo's path holds its label and an id is easily learned by heart, so neither stands in a message. Summaries go in as
they were written; a group whose summaries themselves tell the label's folder, a path or the id, or hold a token of the
chat template, is left out and listed in `dataset.card.json`. The card is written last and holds the files' checksums.

Groups that the checkpoint judges right in every answer teach it nothing. Given its verdicts, those that it gets wrong
stand in train.jsonl several times, and replay.jsonl holds its own words on those that it gets right:

    {"messages": [system, user, {"role": "assistant", "content": "通过\\n理由: …"}], "group_id": …, "mission": …}

`yanshou train --replay-file` learns them beside GRPO, so that reasons stay what they were.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from yanshou.checks import SPECIAL_TOKEN
from yanshou.engines.base import Prompt
from yanshou.errors import DamagedFileError, InputError
from yanshou.group_files import JUDGE_AGAIN, SUMMARIZE_AGAIN, read_groups
from yanshou.jsonl import dump_line, excerpt, not_written, replace_file, spelt_out
from yanshou.missions import Missions
from yanshou.prompts import LONGEST, verdict_prompt
from yanshou.records import GroupKey, Label, StageARecord, VerdictRecord
from yanshou.rules import LABEL_WORDS
from yanshou.settings import DatasetSettings
from yanshou.stage_b.card import Card, DataFile, LeftOut, draw_card
from yanshou.stage_b.split import validation_ids
from yanshou.stage_b.tokens import count_tokens
from yanshou.stage_b.verdict import FAIL, PASS, read_verdict, write_verdict

TRAIN, VAL, REPLAY, CARD = "train.jsonl", "val.jsonl", "replay.jsonl", "dataset.card.json"
SOLUTIONS: dict[Label, str] = {"pass": PASS, "fail": FAIL}
ID_LENGTH = 8  # characters; a shorter id ("1") occurs in a summary by chance
HALF_A_CHARACTER = "\ufffd"  # what is read of bytes that are none
SWIFT_TAG = re.compile(r"<(?:image|video|audio|bbox|ref-object)>")  # ms-swift puts a photo, a sound or a box there


@dataclass(frozen=True, slots=True)
class Example:
    """One group as training sees it."""

    mission: str
    label: Label
    group_id: str
    summaries: tuple[str, ...]  # of 图片_1…N
    image_paths: tuple[str, ...]
    prompt: Prompt
    tokens: int = 0  # of the prompt

    @property
    def key(self) -> GroupKey:
        return GroupKey(self.mission, self.label, self.group_id)

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.prompt.system}, {"role": "user", "content": self.prompt.user}]

    @property
    def row(self) -> dict[str, Any]:
        """The line; its keys are the columns."""
        return {
            "messages": self.messages,
            "solution": SOLUTIONS[self.label],
            "group_id": self.group_id,
            "mission": self.mission,
            "summaries": self.summaries,
            "image_paths": [spelt_out(path) for path in self.image_paths],
        }

    def replay(self, answer: str) -> dict[str, Any]:
        """The line of replay.jsonl."""
        messages = [*self.messages, {"role": "assistant", "content": answer}]
        return {"messages": messages, "group_id": self.group_id, "mission": self.mission}


def build_dataset(settings: DatasetSettings, missions: Missions) -> Card:
    """Writes the files of a dataset and returns its card; nothing is written where something is wrong.

    Raises InputError and DamagedFileError naming file, line and key, CheckpointError, OutputError.
    """
    examples = list(read_examples(settings.stage_a, missions))
    verdicts = read_verdicts(settings.verdicts, missions, {example.key for example in examples})
    kept, left_out = _sort_out(examples, settings)
    if not kept:
        first = f" The first of {len(left_out)} left out: {left_out[0]}." if left_out else ""
        raise InputError(f"{', '.join(map(str, settings.stage_a))}: no group to train on.{first} Give other files.")
    if len({example.group_id for example in kept}) == 1:
        raise InputError(f"group {kept[0].key} is the only one: it cannot be on both sides. Give more groups.")
    val_ids = validation_ids((example.key for example in kept), settings.val_fraction, settings.seed)
    sides = {
        TRAIN: [example for example in kept if example.group_id not in val_ids],
        VAL: [example for example in kept if example.group_id in val_ids],
    }
    wrong = {key for key, record in verdicts.items() if record.verdict != record.label}
    lines = {
        TRAIN: [dump_line(example.row) for example in sides[TRAIN] for _ in range(_times(example, wrong, settings))],
        VAL: [dump_line(example.row) for example in sides[VAL]],
    }
    if verdicts:
        own = [(example, _own_words(example, verdicts)) for example in sides[TRAIN]]
        lines[REPLAY] = [dump_line(example.replay(words)) for example, words in own if words]
    data = {name: b"".join(written) for name, written in lines.items()}
    files = {
        name: DataFile(groups=len(sides.get(name, written)), rows=len(written), sha256=sha256(data[name]).hexdigest())
        for name, written in lines.items()
    }
    card = draw_card(settings, sides[TRAIN], sides[VAL], files, left_out)
    _write(settings.output_dir, {**data, CARD: dump_line(card, indent=1)})
    return card


def _times(example: Example, wrong: Container[GroupKey], settings: DatasetSettings) -> int:
    return settings.repeats if example.key in wrong else 1


def _own_words(example: Example, verdicts: Mapping[GroupKey, VerdictRecord]) -> str:
    """What the checkpoint wrote on the group, where both lines stand, whole, and the first is the label; else ""."""
    record = verdicts.get(example.key)
    said = read_verdict(record.raw_text or "") if record else None
    if said is None or said.passed is None or said.reason is None or said.passed != (example.label == "pass"):
        return ""
    broken = HALF_A_CHARACTER in said.reason or SWIFT_TAG.search(said.reason)
    return "" if broken else write_verdict(said.passed, said.reason)


def read_examples(paths: Sequence[Path], missions: Missions) -> Iterator[Example]:
    """The labelled groups of Stage-A files, in their order."""
    for place, record in read_groups(paths, StageARecord, missions):
        _check_length(place, record)
        if record.label is None:
            raise InputError(
                f"{place}: group {record.key} has no label: key label is null, and "
                "training asks for one. Leave the file out, or summarize from the folders 审核通过 and 审核不通过."
            )
        summaries = tuple(map(spelt_out, record.per_image.values()))
        prompt = verdict_prompt(missions.get(record.mission), summaries)
        yield Example(record.mission, record.label, record.group_id, summaries, tuple(record.images), prompt)


def read_verdicts(
    paths: Sequence[Path], missions: Missions, groups: Container[GroupKey]
) -> dict[GroupKey, VerdictRecord]:
    """Those on these groups.

    Raises InputError where none is on any of them.
    """
    verdicts = {record.key: record for _, record in read_groups(paths, VerdictRecord, missions, JUDGE_AGAIN)}
    ours = {key: record for key, record in verdicts.items() if key in groups}
    if paths and not ours:
        raise InputError(
            f"{', '.join(map(str, paths))}: none of these {len(verdicts)} verdicts is on a group of the Stage-A files. "
            "Give the verdicts that `yanshou judge` wrote on the same files."
        )
    return ours


def _check_length(place: str, record: StageARecord) -> None:
    """Raises DamagedFileError for a text that no photo is described with."""
    for key, value in record:
        texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value or ""]
        length = sum(map(len, texts))
        if length > LONGEST:
            raise DamagedFileError(
                f"{place}: key {key} has {length:,} characters, more than {LONGEST:,} (group {record.key}). "
                f"{SUMMARIZE_AGAIN}"
            )


def _sort_out(examples: Sequence[Example], settings: DatasetSettings) -> tuple[list[Example], list[LeftOut]]:
    """The examples with their tokens counted, and what cannot be used, both in the order of the input."""
    faults = [_gives_away(example) for example in examples]
    fitting = [example for example, fault in zip(examples, faults, strict=True) if not fault]
    counts = iter(count_tokens([example.prompt for example in fitting], settings.checkpoint))
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
    """What the prompt tells beside the summaries' words, or "": see the top of this file."""
    text = example.prompt.user
    for word in LABEL_WORDS:
        if word in text:
            return f"its prompt holds {word}, a label's folder"
    if any(path in text for path in example.image_paths if path):
        return "its prompt holds the path of a photo"
    if len(example.group_id) >= ID_LENGTH and example.group_id in text:
        return "its prompt holds its id"
    if token := SPECIAL_TOKEN.search(text) or SWIFT_TAG.search(text):
        return f"its prompt holds {excerpt(token[0])}, which a chat template or ms-swift does not read as text"
    return ""


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if REPLAY not in files:  # an earlier dataset's
            (folder / REPLAY).unlink(missing_ok=True)
    except OSError as error:
        raise not_written(folder, error) from error
    for name, data in files.items():
        replace_file(folder / name, data)
