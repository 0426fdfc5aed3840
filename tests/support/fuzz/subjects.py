"""Which command reads which file, and what the file means: every reading command × every kind of file."""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from support.fuzz import world
from support.fuzz.mutations import BYTES, TEXT, VALUES, Mutation
from support.fuzz.validity import (
    DamageError,
    Line,
    are_texts,
    is_fault,
    is_filled,
    is_stage_a,
    is_text,
    is_truth,
    is_verdict,
    of_lines,
    of_object,
)

CHECKPOINT = "../checkpoint"


@dataclass(frozen=True)
class Subject:
    """One file that one command reads."""

    command: Sequence[str]
    file: str  # relative to the world
    meaning: Callable[[bytes], Any]  # raises DamageError
    outputs: Sequence[str] = ()  # folders and files whose content is part of the result
    mutations: Sequence[Mutation] = (*TEXT, *VALUES)
    weight: float = 1.0  # how many files are damaged, compared with other subjects

    @property
    def name(self) -> str:
        options = [word for word in self.command if word in ("--rules", "--threshold", "--only", "--verdicts")]
        return f"{' '.join([self.command[0], *options])} × {self.file.removeprefix('../')}".replace(world.MISSION, "m")


def is_run_record(record: Line) -> bool:
    texts = ("yanshou", "started", "updated")
    objects = ("settings", "environment", "counts")
    return (
        record.keys() - {"inputs"} == {*texts, *objects, "format", "status", "runs", "earlier_environments"}
        and record["format"] == 1  # or true, which Python takes for 1
        and record["status"] in ("running", "finished", "interrupted", "stopped")
        and all(is_text(record[key]) for key in texts)
        and all(isinstance(record[key], dict) for key in objects)
        and all(type(count) is int for count in record["counts"].values())
        and type(record["runs"]) is int and record["runs"] >= 1
        and are_texts(record.get("inputs", []))
        and isinstance(record["earlier_environments"], list)
        and all(
            isinstance(one, dict) and one.keys() == {"until", "environment"} and is_text(one["until"])
            and isinstance(one["environment"], dict)
            for one in record["earlier_environments"]
        )
    )  # fmt: skip


def is_row(row: Line) -> bool:
    messages = row.get("messages")
    return (
        isinstance(messages, list) and [set(message) for message in messages if isinstance(message, dict)]
        == [{"role", "content"}] * 2
        and [message["role"] for message in messages] == ["system", "user"]
        and all(is_text(message["content"]) for message in messages)
        and row.get("solution") in ("通过", "不通过")
    )  # fmt: skip


def of_json(data: bytes) -> Any:
    """A file of a checkpoint: any JSON that Python reads."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamageError from error


def of_toml(data: bytes) -> Any:
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DamageError from error
    if not found.keys() <= {"name", "aliases", "focus", "rule"} or not {"name", "focus", "rule"} <= found.keys():
        raise DamageError
    return found


def of_template(data: bytes) -> str:
    """An empty one is valid, and what it renders is refused."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamageError from error


def of_text(data: bytes) -> str:
    text = of_template(data)
    if not text.strip():
        raise DamageError
    return text


def of_card(data: bytes) -> Any:
    """Its readers compare the files with it; they do not read its settings and figures."""
    return of_object(data, lambda card: "files" in card)


def of_header(data: bytes) -> Any:
    """The header of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length or length > 10**8:
        raise DamageError
    return of_json(data[8 : 8 + length]), len(data) - length


def is_script(script: Line) -> bool:
    return "answers" in script and isinstance(script["answers"], dict) and all(map(is_filled, script["answers"]))


STAGE_A = partial(of_lines, is_valid=is_stage_a)
VERDICTS = partial(of_lines, is_valid=is_verdict)
FAULTS = partial(of_lines, is_valid=is_fault, unique=False)
RUN = partial(of_object, is_valid=is_run_record)
ROWS = partial(of_lines, is_valid=is_row, unique=False)
STAGE_A_FILES = {f"{world.STAGE_A}.jsonl": STAGE_A, f"{world.STAGE_A}.errors.jsonl": FAULTS,
                 f"{world.STAGE_A}.run.json": RUN}  # fmt: skip
VERDICT_FILES = {f"{world.VERDICTS}.jsonl": VERDICTS, f"{world.VERDICTS}.errors.jsonl": FAULTS,
                 f"{world.VERDICTS}.run.json": RUN}  # fmt: skip
READ_OF_STAGE_A = {file: meaning for file, meaning in STAGE_A_FILES.items() if meaning is not FAULTS}
READ_OF_VERDICTS = {file: meaning for file, meaning in VERDICT_FILES.items() if meaning is not FAULTS}
THRESHOLD = (*world.JUDGE, "--threshold", "0.95")
ONLY = (*world.EVALUATE, "--only", "d/val.jsonl")
WRONG_BEFORE = (*world.DATASET, "--verdicts", f"{world.VERDICTS}.jsonl")
OF_CHECKPOINT = {
    "config.json": of_json, "model.safetensors.index.json": of_json, "tokenizer.json": of_json,
    "tokenizer_config.json": of_json, "processor_config.json": of_json, "generation_config.json": of_json,
}  # fmt: skip

SUBJECTS = [
    *(Subject(world.SUMMARIZE, file, meaning, ["a"], weight=2) for file, meaning in STAGE_A_FILES.items()),
    Subject(world.SUMMARIZE, "mission.toml", of_toml, ["a"], TEXT),
    Subject(world.SUMMARIZE, "system.txt", of_text, ["a"], TEXT),
    *(Subject(world.JUDGE, file, meaning, ["v"]) for file, meaning in READ_OF_STAGE_A.items()),
    *(Subject(world.JUDGE, file, meaning, ["v"], weight=2) for file, meaning in VERDICT_FILES.items()),
    *(Subject(THRESHOLD, file, meaning, ["v"]) for file, meaning in VERDICT_FILES.items()),
    Subject(world.RULES, f"{world.STAGE_A}.jsonl", STAGE_A, ["r"]),
    Subject(world.RULES, "mission.toml", of_toml, ["r"], TEXT),
    *(Subject(world.DATASET, file, meaning, ["d"]) for file, meaning in READ_OF_STAGE_A.items()),
    *(Subject(WRONG_BEFORE, file, meaning, ["d"]) for file, meaning in READ_OF_VERDICTS.items()),
    *(
        Subject(world.EVALUATE, file, meaning, ["e/groups.csv"], weight=0.3)
        for file, meaning in {**VERDICT_FILES, **STAGE_A_FILES}.items()
    ),
    Subject(ONLY, "d/val.jsonl", ROWS, ["e/groups.csv"], weight=0.3),
    Subject(ONLY, "d/dataset.card.json", of_card, ["e/groups.csv"], weight=0.3),
    Subject(world.SCORE, "truth.jsonl", partial(of_lines, is_valid=is_truth), weight=2),
    Subject(world.SCORE, f"{world.STAGE_A}.jsonl", STAGE_A, weight=2),
    Subject(world.TRAIN, "d/train.jsonl", ROWS, weight=2),
    Subject(world.TRAIN, "d/val.jsonl", ROWS, weight=2),
    Subject(world.TRAIN, "d/dataset.card.json", of_card),
    Subject(world.TRAIN, f"{CHECKPOINT}/config.json", of_json),
    *(
        Subject(world.DOCTOR, f"{CHECKPOINT}/{file}", meaning, weight=0.2)
        for file, meaning in OF_CHECKPOINT.items()
    ),
    Subject(world.DOCTOR, f"{CHECKPOINT}/chat_template.jinja", of_template, mutations=TEXT, weight=0.2),
    Subject(world.DOCTOR, f"{CHECKPOINT}/model-00002-of-00002.safetensors", of_header, mutations=BYTES, weight=0.2),
]  # fmt: skip
