"""What a step of GRPO takes at the 4B shape: `yanshou train` with ms-swift's real trainer, three steps per row.

    pip install --no-deps dashscope==2.0.2               # Qwen's vocabulary; or --ranks qwen.tiktoken
    python benchmarks/train_step.py /tmp/4b-random       # writes the checkpoint if the folder is missing: 9 GB
    python benchmarks/train_step.py /tmp/4b-random --only 'start values|two GPUs' --json train_step.json
    python benchmarks/train_step.py /tmp/4b-random --only 'start values' --steps 40 -- --max-new-tokens 64

The first row has the start values of docs/grpo.md; each other row changes one thing. The weights are random and made
on the device. Random weights write no verdict, so the reward `label` is replaced by a hash of the answer (see
train_step_plugin.py): rewards differ and gradients flow, but nothing sensible is learned, and every answer is as long
as --max-new-tokens allows. Prompts are those of drawn jobs, in Qwen's vocabulary.

A step is the time between the ends of two steps; the first one, which also warms up, has a column of its own. Parts of
a step: roll-outs; log-probabilities (one forward of the model, one of its reference); the rest, which is loss, backward
and update. Only the first row also validates, merges the adapter and writes the final checkpoint. Rows on different
GPUs may run side by side, each in its own call with --gpus and --only.

Without a GPU, to see that it runs: `make_checkpoint.py /tmp/tiny --shape tiny` and
`train_step.py /tmp/tiny --device cpu --tokens 4 --answers 4 --only 'start values'`.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from make_checkpoint import write_checkpoint
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, Qwen3VLForConditionalGeneration
from trl_step import write_dataset

from yanshou.train import command
from yanshou.train.preflight import count_blocks
from yanshou.train.run import Training

PLUGIN = Path(__file__).with_name("train_step_plugin.py")
STEPS = 3
PHOTOS = 12  # of each group, in the row of long prompts
VLLM = ("--use_vllm", "true", "--vllm_mode", "colocate", "--vllm_gpu_memory_utilization", "0.4",
        "--vllm_max_model_len", "4096", "--vllm_limit_mm_per_prompt", '{"image": 0, "video": 0}')  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what differs from the start values."""

    name: str
    options: Mapping[str, int] = field(default_factory=dict)  # of yanshou train, times --answers for two of them
    swift: tuple[str, ...] = ()  # arguments after --
    photos: int = 0  # per group; 0: as many as drawn, 3.4 in the mean
    gpus: int = 1


ROWS = (
    Row("start values"),
    Row("32 groups per step", {"accumulation": 32}),
    Row("no gradient checkpointing", swift=("--gradient_checkpointing", "false")),
    Row("LoRA on all blocks", {"last-blocks": 0}),
    Row("16 answers per group", {"generations": 2, "accumulation": 16}),
    Row(f"{PHOTOS} photos per group", photos=PHOTOS),
    Row("two GPUs", gpus=2),
    Row("roll-outs by vLLM", swift=VLLM),
)


def options_of(row: Row, given: argparse.Namespace) -> list[str]:
    """The options of `yanshou train` in this row. Generations and batch size are in multiples of --answers."""
    blocks = count_blocks(given.checkpoint)
    values = {"generations": 1, "batch-size": 1, "accumulation": 8, "last-blocks": 4, **row.options}
    scaled = {name: count * given.answers if name in ("generations", "batch-size") else count
              for name, count in values.items()}  # fmt: skip
    scaled["last-blocks"] = min(scaled["last-blocks"] or blocks, blocks)
    scaled |= {"max-new-tokens": given.tokens, "max-steps": given.steps, "save-steps": given.steps}
    return [*(f"--{name}={count}" for name, count in scaled.items()), f"--device={given.device}"]


def command_of(row: Row, given: argparse.Namespace, data: Path, out: Path) -> list[str]:
    """The arguments of `yanshou`. Those after `--` come last, so that they override the row's."""
    own, swift = split_at_dashes(given.more)
    validate = [f"--val-file={data / 'val.jsonl'}"] if row is ROWS[0] else []
    files = [f"--checkpoint={given.checkpoint}", f"--train-file={data / 'train.jsonl'}", *validate]
    after = ["--", *row.swift, *swift] if row.swift or swift else []
    return ["train", *files, f"--output-dir={out}", *options_of(row, given), *own, *after]


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What comes before the first `--`, and what comes after it."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:at]), list(arguments[at + 1 :])


def measure(row: Row, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Runs the row in a process of its own; what it took."""
    data = dataset(folder, row.photos, given)
    out = folder / f"row_{ROWS.index(row)}"
    shutil.rmtree(out, ignore_errors=True)
    log = folder / f"{out.name}.jsonl"
    log.unlink(missing_ok=True)
    arguments = command_of(row, given, data, out)
    print(f"\n{row.name}: yanshou {shlex.join(arguments)}", flush=True)
    begin = time.monotonic()
    merged = re.fullmatch(given.merge, row.name) is not None
    child = [sys.executable, __file__, "train", str(int(merged)), *arguments]
    subprocess.run(child, check=False, env=environment(row, given, log))
    lines = rows_of(log) if log.exists() else []
    shutil.rmtree(out / "final", ignore_errors=True)  # as large as the checkpoint
    if sum(line["what"] == "step" for line in lines) < given.steps:
        return {"row": row.name, "failed": last_error(out / "swift.log")}
    inputs = {"validated": len(rows_of(data / "val.jsonl")), "prompt": prompt_tokens(data, given)}
    return {"row": row.name, **figures(lines, begin, time.monotonic()), **inputs}


def environment(row: Row, given: argparse.Namespace, log: Path) -> dict[str, str]:
    gpus = given.gpus[: row.gpus]
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
    several = {"NPROC_PER_NODE": str(row.gpus)} if row.gpus > 1 else {}
    port = {"MASTER_PORT": str(29_600 + int(gpus[0]))} if gpus else {}  # of its own, if rows run side by side
    return {**os.environ, "TRAIN_STEP_LOG": str(log), **visible, **several, **port}


def figures(lines: Sequence[Mapping[str, Any]], begin: float, end: float) -> dict[str, Any]:
    """The figures of a row from the lines of train_step_plugin.py."""
    marks = [line for line in lines if line["what"] == "step"]
    first = next(line["begin"] for line in lines if line["what"] == "rollout")
    times = [first, *(mark["begin"] for mark in marks)]
    steps = [until - since for since, until in pairwise(times)]

    def part(what: str) -> float:
        """Mean seconds per step after the first."""
        spent = [line["seconds"] for line in lines if line["what"] == what and times[1] <= line["begin"] < times[-1]]
        return sum(spent) / (len(steps) - 1)

    validated = [line["begin"] - times[-1] for line in lines if line["what"] == "evaluation"]
    return {
        "step_s": fmean(steps[1:]), "steps_s": steps, "rollout_s": part("rollout"), "logps_s": part("logps"),
        "rollouts": sum(line["what"] == "rollout" and line["begin"] < times[-1] for line in lines) / len(steps),
        "tokens": fmean(mark["tokens"] for mark in marks), "start_s": first - begin, "after_s": end - times[-1],
        "validation_s": validated[0] if validated else None,
        **{name: max(mark[name] for mark in marks) for name in ("allocated", "reserved", "card")},
    }  # fmt: skip


def dataset(folder: Path, photos: int, given: argparse.Namespace) -> Path:
    """train.jsonl and val.jsonl of drawn jobs, written once."""
    place = folder / f"groups_{photos}"
    if not place.exists():
        place.mkdir()
        write_dataset(place, given.groups, photos=photos, val_fraction=0.01)
    return place / "data"


def prompt_tokens(data: Path, given: argparse.Namespace) -> list[int]:
    """Median and maximum of the prompts' tokens."""
    tokenizer = AutoTokenizer.from_pretrained(given.checkpoint)
    talks = [row["messages"] for row in rows_of(data / "train.jsonl")]
    chats = [tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) for talk in talks]
    counts = sorted(len(tokenizer(chat)["input_ids"]) for chat in chats)
    return [counts[len(counts) // 2], counts[-1]]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def last_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else ["no log"]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or lines[-1:])[-1][:500]


def make_weights(folder: Path, ranks: Path | None, device: str, shape: str = "4b") -> None:
    """The folder with random weights, made on the device. Shards of 1 GB are hashed in parallel."""
    if not folder.exists():
        write_checkpoint(folder, shape, weights=False, ranks=ranks)
        (folder / "model.safetensors").unlink()
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        with torch.device("cpu" if device == "cpu" else "cuda"):
            model = Qwen3VLForConditionalGeneration(AutoConfig.from_pretrained(folder))
        torch.set_default_dtype(torch.float32)
        model.generation_config = GenerationConfig.from_pretrained(folder)
        model.save_pretrained(folder, max_shard_size="1GB")


COLUMNS = ("", "s/step", "first", "roll-outs", "log-probs", "rest", "answers/s", "GB allocated", "reserved", "on card")


def table(rows: Iterable[Mapping[str, Any]], answers: Mapping[str, int]) -> str:
    """The rows as a Markdown table."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for row in rows:
        if "failed" in row:
            lines.append((row["row"], f"failed: {row['failed']}", *[""] * (len(COLUMNS) - 2)))
            continue
        step, rollout, logps = row["step_s"], row["rollout_s"], row["logps_s"]
        shares = (rollout / step, logps / step, 1 - (rollout + logps) / step)
        lines.append((
            row["row"], f"{step:.1f}", f"{row['steps_s'][0]:.1f}", *(f"{share:.0%}" for share in shares),
            f"{answers[row['row']] / step:.1f}", *(f"{row[name]:.1f}" for name in ("allocated", "reserved", "card")),
        ))  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def answers_per_step(row: Row, given: argparse.Namespace) -> int:
    batch, accumulation = row.options.get("batch-size", 1), row.options.get("accumulation", 8)
    return batch * given.answers * accumulation * row.gpus


def show(results: Sequence[Mapping[str, Any]], given: argparse.Namespace) -> None:
    print("\n" + table(results, {row.name: answers_per_step(row, given) for row in ROWS}))
    for row in results:
        if "failed" not in row:
            seconds = row["validation_s"] or 0.0
            validation = f" (validation of {row['validated']} groups: {seconds:.1f} s)" if seconds else ""
            print(
                f"{row['row']}: start {row['start_s']:.0f} s, after the last step {row['after_s']:.0f} s"
                f"{validation}; "
                f"{row['rollouts']:.1f} roll-outs per step, {row['tokens']:.0f} tokens per answer, "
                f"prompts of {row['prompt'][0]} tokens (at most {row['prompt'][1]})"
            )


def machine() -> str:
    names = ("torch", "transformers", "ms-swift", "trl", "peft")
    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] or ["no GPU"]
    return f"{len(cards)} × {cards[0]}, {os.cpu_count()} CPU cores; " + ", ".join(f"{n} {version(n)}" for n in names)


def train(merged: bool, arguments: Sequence[str]) -> None:
    """In a process of its own: `yanshou train` with this benchmark's plugin; merges only where asked."""
    from yanshou.cli.start import main as yanshou

    command.PLUGIN = PLUGIN
    if not merged:
        Training._merge = lambda self, trainer: None  # type: ignore[method-assign]
    sys.argv = ["yanshou", *arguments]
    yanshou()


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times three steps of GRPO per row.")
    parser.add_argument("checkpoint", type=Path, help="a checkpoint folder; made if it is missing")
    parser.add_argument("--only", default="", help="regular expression: rows to measure")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--answers", type=int, default=8, help="answers per group and per batch of the start values")
    parser.add_argument("--tokens", type=int, default=128, help="--max-new-tokens: the length of each answer")
    parser.add_argument("--groups", type=int, default=400, help="drawn groups")
    parser.add_argument("--gpus", type=lambda text: text.split(","), help="numbers of the GPUs; default: all")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--merge", default=ROWS[0].name, help="regular expression: rows that make the final checkpoint")
    parser.add_argument("--ranks", type=Path, help="the file qwen.tiktoken, if dashscope is not installed")
    parser.add_argument("--folder", type=Path, help="for datasets and outputs; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.epilog = "after --: more options of yanshou train for every row, and arguments of swift after another --"
    own, more = split_at_dashes(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(own, argparse.Namespace(more=more))
    cards = 0 if given.device == "cpu" else torch.cuda.device_count()
    given.gpus = given.gpus or [str(number) for number in range(cards)]
    given.checkpoint = given.checkpoint.absolute()
    return given


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    given = parsed(arguments)
    print(machine(), "The reward `label` is a hash of the answer; the weights are random.", sep="\n", flush=True)
    make_weights(given.checkpoint, given.ranks, given.device)
    with tempfile.TemporaryDirectory() as name:
        folder = (given.folder or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for row in ROWS if re.search(given.only, row.name)]
        results = []
        for row in rows:
            if row.gpus > max(1, len(given.gpus)):
                print(f"\n{row.name}: not measured, because there are not {row.gpus} GPUs")
                continue
            results.append(measure(row, given, folder))
            show(results[-1:], given)
            if given.json:
                given.json.write_text(json.dumps({"machine": machine(), "rows": results}, indent=1), encoding="utf-8")
    show(results, given)
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(bool(int(sys.argv[2])), sys.argv[3:])
    else:
        main()
