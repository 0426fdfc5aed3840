"""Checks before a trainer starts, which would otherwise fail minutes later, with a message that gives no advice."""

import json
import os
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from yanshou.engines import checkpoint
from yanshou.errors import CheckpointError, InputError, RunError, UsageError
from yanshou.missions import Missions
from yanshou.missions.rules import decide
from yanshou.requirements import how_to_install, installed, requirements
from yanshou.schema.summary import parse
from yanshou.stage_b.dataset_files import check_dataset_files
from yanshou.stage_b.dataset_rows import ScoredRow, check_rows, read_rows
from yanshou.stage_b.verdict import VERDICT_WORDS
from yanshou.text import printable
from yanshou.train.folder import TrainFolder

EXTRA = "train"
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
TAKE_DENSE = "Take a dense Qwen3-VL checkpoint, or train with ms-swift itself; its result can be run."
INSTALL = how_to_install(EXTRA)
BUILD_OR_LEAVE_OUT = "Build the file again with `yanshou dataset`, or leave out --reward grounded."


def check_installed() -> None:
    """Raises RunError where a package of the extra `train` is missing."""
    for name in requirements(EXTRA):
        if installed(name) is None:
            raise RunError(f"training needs the package {name}, which is not installed: {INSTALL}")
    if find_spec("swift") is None:  # yanshou itself is not installed but on the path: its requirements are unknown
        raise RunError(f"training needs the package ms-swift, which is not installed: {INSTALL}")


def check_processes() -> None:
    """Raises UsageError for a number of processes that torchrun fails on without a message."""
    given = os.environ.get("NPROC_PER_NODE", "")
    if given.removeprefix("-").isdecimal() and int(given) < 1:
        raise UsageError(f"NPROC_PER_NODE is {given} in the environment: set it to 1 or more, or unset it.")


def check_code(source: Path) -> None:
    """Raises CheckpointError for a checkpoint that names Python code, which ms-swift would execute."""
    for path in sorted(source.glob("*config.json")):
        if '"auto_map"' in path.read_text(encoding="utf-8", errors="replace"):
            raise CheckpointError(
                f"{path}: auto_map names Python code of the checkpoint, which the trainer would execute. "
                "Qwen3-VL needs none: delete that key."
            )


def check_trainable(source: Path) -> None:
    """Raises CheckpointError for what would be trained wrongly: no weights, experts, 8 bits, a Thinking template."""
    if not checkpoint.read_headers(checkpoint.weight_files(source)):
        raise CheckpointError(f"{source}: its files hold no weights, so random ones would be trained. Copy it again.")
    if checkpoint.is_moe(source):
        raise CheckpointError(f"{source}: a mixture of experts (MoE), which is not trained here. {TAKE_DENSE}")
    if checkpoint.fp8_scales(source):
        raise CheckpointError(f"{source}: its weights are in FP8, which cannot be trained. {checkpoint.UNQUANTIZE}")
    if _opens_think_block(source):
        raise CheckpointError(
            f"{source}: its chat template opens a <think> block, as those of Thinking checkpoints do. ms-swift trains "
            "without it, so the checkpoint would be prompted differently after the training. Take the Instruct "
            "checkpoint, or replace the chat template by the Instruct checkpoint's chat_template.jinja."
        )


def _opens_think_block(source: Path) -> bool:
    """Loads the processor only where a file mentions such a block, because that takes seconds."""
    files = [source / name for name in TEMPLATE_FILES if (source / name).is_file()]
    if not any(b"<think>" in path.read_bytes() for path in files):
        return False
    from yanshou.engines.chat import opening
    from yanshou.engines.loading import load_processor

    return opening(load_processor(source)) != ""


def count_blocks(source: Path) -> int:
    """The number of blocks of the checkpoint's language model. Raises CheckpointError."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    try:
        return int(config["text_config"]["num_hidden_layers"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{source / 'config.json'}: text_config.num_hidden_layers is missing. Copy the checkpoint again."
        ) from error


def check_files(files: Mapping[str, Path], missions: Missions | None = None) -> list[str]:
    """Checks every row of the files, `train` and perhaps `val`; returns warnings.

    `missions`: where a reward reads the reasons, by the rules of these. Raises InputError and DamagedFileError.
    """
    warnings = check_dataset_files(files.values())
    groups: dict[str, set[str]] = {}
    for name, path in files.items():
        if not path.is_file():  # a pipe: yanshou reads it for the run file, then swift reads it again
            raise InputError(
                f"{path} is not a file that can be read several times. Write the rows into a regular file."
            )
        groups[name] = check_rows(path)
        if missions:
            warnings += _without_reason(path, missions)
    return [*warnings, *_overlap(files, groups)]


def _without_reason(path: Path, missions: Missions) -> Iterable[str]:
    """A warning about rows whose label no true reason supports. Raises InputError for rows that lack what it needs."""
    agreeing = [_rule_agrees(row, missions, f"{path}:{number}") for number, row in read_rows(path, ScoredRow)]
    if without := agreeing.count(False):
        share = without / len(agreeing)
        yield (
            f"{printable(path)}: on {without} of {len(agreeing)} rows ({share:.1%}) the mission's rule contradicts the "
            "label, so no reason for the label is true, and the reward grounded leaves these rows out"
        )


def _rule_agrees(row: ScoredRow, missions: Missions, place: str) -> bool:
    if row.mission is None or not row.summaries:
        raise InputError(f"{place}: the reward grounded needs the columns mission and summaries. {BUILD_OR_LEAVE_OUT}")
    try:
        rule = missions.get(row.mission).rule
    except UsageError as error:
        raise InputError(f"{place}: {error}") from error
    return decide(rule, map(parse, row.summaries)).passed == VERDICT_WORDS[row.solution]


def _overlap(files: Mapping[str, Path], groups: Mapping[str, set[str]]) -> Iterable[str]:
    """A warning about groups that are trained on and validated on."""
    shared = groups["train"] & groups.get("val", set())
    if shared:
        yield (
            f"{len(shared)} of the {len(groups['val'])} group ids in {printable(files['val'])} are in "
            f"{printable(files['train'])}, too, for example {printable(min(shared))}: validation shows what was "
            "memorized. Give the two files of one run of `yanshou dataset`"
        )


def check_inputs_stay(folder: TrainFolder, inputs: Iterable[Path]) -> None:
    """Raises UsageError where --fresh would move away what the new training reads."""
    roots = {Path(os.path.abspath(folder.root)), folder.root.resolve()}  # noqa: PTH100 - keeps links
    moved = [root / path.name for path in folder.written() for root in roots]
    for path in inputs:
        spellings = (Path(os.path.abspath(path)), path.resolve())  # noqa: PTH100 - keeps links
        if any(spelling.is_relative_to(old) for spelling in spellings for old in moved):
            raise UsageError(
                f"--fresh would move {path} away with the old training, but the new training reads it. Choose another "
                "--output-dir, or copy it to another place and give that."
            )


def check_final(final: Path) -> None:
    """Raises CheckpointError where `final` is not the result of a training."""
    fault = next(checkpoint.faults(final), "") if final.is_dir() else f"{final} is a file."
    if fault:
        raise CheckpointError(
            f"{fault} The result of this training belongs there. Move {final} away and run the same command to make "
            "it again."
        )
