"""What FP8 changes on the demo checkpoint: lines, their entries against the truth, and verdicts.

    python benchmarks/quality.py demo                            # 1,000 drawn groups, about 3,400 photos, on one GPU
    python benchmarks/quality.py demo --each                     # then with one kind of layers after another in 16 bits
    python benchmarks/quality.py demo --kv-cache fp8             # keys and values, too; then they alone
    python benchmarks/quality.py demo --float32                  # also float32: what rounding to 16 bits changes
    python benchmarks/quality.py demo --groups 8 --device cpu    # FP8 is emulated

Each run summarizes the same photos and judges the same groups, in 16 bits and in FP8. Every large product is
in FP8, in decode steps too.

lines      of photos, that differ from those in 16 bits in any character; at most 0.5 % may
F1         of entries against the truth, as `yanshou score` computes it; at most 0.001 from that in 16 bits
flips      verdicts on the run's own lines that differ from those in 16 bits; at most 0.2 % of the groups may
judge      the same on the lines in 16 bits: what the judge alone changes
p_pass     the largest change of p_pass, on the run's own lines; flips are listed with theirs

Exit status 1 if more differs.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from forced_length_engines import release
from quantized_model import described, emulated, quantize_

from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.evaluate.summaries import score
from yanshou.missions import load_missions
from yanshou.settings import EngineSettings, JudgeSettings, StageASettings, VerdictEngineSettings
from yanshou.stage_a.summarize import summarize_directory
from yanshou.stage_b.judge import judge_files
from yanshou.world.synth import synthesize

LINES, F1, FLIPS = 0.005, 0.001, 0.002  # what may differ: share of photos, difference, share of groups
KEPT = {  # layers in 16 bits → their names
    "vision tower": r"visual", "language model": r"language_model", "attention": r"self_attn", "qkv": r"[qkv]_proj",
    "o": r"o_proj", "gate and up": r"(gate|up)_proj", "down": r"down_proj", "first layers": r"\.0\.",
}  # fmt: skip

Key = tuple[str, ...]


class Form(NamedTuple):
    """How a run computes."""

    quantize: str = "none"
    dtype: str = "bfloat16"
    keep: str = ""  # layers in 16 bits, by a regular expression
    kv_cache: str = "auto"


PLAIN = Form()


@dataclass(frozen=True)
class Row:
    """A run compared with the run in 16 bits."""

    name: str
    photos: int
    lines: int  # that differ
    groups: int
    f1: float
    f1_change: float
    flips: int
    judge: int
    p_pass: float
    flipped: tuple[str, ...]
    seconds: float

    @property
    def kept(self) -> bool:
        few = self.lines <= LINES * self.photos and self.flips <= FLIPS * self.groups
        return few and abs(self.f1_change) <= F1

    def __str__(self) -> str:
        line = (
            f"{'kept' if self.kept else 'BROKEN':<6}  {self.name:<28}  {self.lines:>4} of {self.photos:,} lines differ "
            f"({self.lines / self.photos:.2%}); F1 {self.f1:.5f} ({self.f1_change:+.5f}); "
            f"{self.flips} of {self.groups:,} verdicts flip, the judge alone {self.judge}; "
            f"p_pass by {self.p_pass:.4f} at most; {self.seconds:.0f} s"
        )
        return "\n".join([line, *(f"        {flip}" for flip in self.flipped)])


class Runs:
    """Runs of one checkpoint over one set of groups, each in a folder of its own."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.known = given, load_missions()
        self.input_dir = given.folder / f"{given.groups} groups, seed {given.seed}"
        if not (self.input_dir / "truth.jsonl").exists():
            shutil.rmtree(self.input_dir, ignore_errors=True)
            synthesize(self.input_dir, given.groups, given.seed, list(self.known))

    def engine(self, settings: EngineSettings, keep: str) -> ContinuousEngine:
        release()  # the memory of the one before
        engine = ContinuousEngine(settings)
        if keep and engine.fp8:
            plain = ContinuousEngine(settings.model_copy(update={"quantize": "none"}))
            vars(engine)["model"] = quantize_(plain.model, keep)
        return engine

    def settings(self, kind: type[EngineSettings], form: Form) -> EngineSettings:
        given = self.given
        return kind(
            checkpoint=given.checkpoint, device=given.device, dtype=form.dtype, quantize=form.quantize,
            kv_cache=form.kv_cache,
        )  # fmt: skip

    def summarize(self, name: str, form: Form) -> list[Path]:
        """The files of summaries."""
        settings = self.settings(EngineSettings, form)
        stage = StageASettings(
            input_dir=self.input_dir, output_dir=self.output_dir(name), missions=("all",), engine=settings
        )
        return [result.lines for result in summarize_directory(stage, self.engine(settings, form.keep))]

    def judge(self, name: str, files: Sequence[Path], form: Form) -> list[Path]:
        """The files of verdicts on these summaries."""
        settings = self.settings(VerdictEngineSettings, form)
        stage = JudgeSettings(stage_a=tuple(files), output_dir=self.output_dir(name), engine=settings)
        return [result.lines for result in judge_files(stage, self.engine(settings, form.keep))]

    def output_dir(self, name: str) -> Path:
        folder: Path = self.given.folder / "out" / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def f1(self, files: Sequence[Path]) -> float:
        found = score(self.input_dir / "truth.jsonl", files, self.known).overall.entries.f1
        assert found is not None
        return found


def compared(runs: Runs, name: str, form: Form, plain: Sequence[Path], plain_verdicts: Sequence[Path]) -> Row:
    """A run beside the run in 16 bits."""
    started = time.monotonic()
    files = runs.summarize("other lines", form)
    verdicts = runs.judge("other verdicts", files, form)
    same = runs.judge("other verdicts on the same lines", plain, form)
    lines, before, own, f1 = photos(plain), groups(plain_verdicts), groups(verdicts), runs.f1(files)
    flips = [key for key, (verdict, _) in before.items() if key in own and own[key][0] != verdict]
    return Row(
        name, len(lines), differing(lines, photos(files)), len(before), f1, f1 - runs.f1(plain),
        differing(verdicts_of(before), verdicts_of(own)), differing(verdicts_of(before), verdicts_of(groups(same))),
        max(abs(own[key][1] - p_pass) for key, (_, p_pass) in before.items() if key in own),
        tuple(f"{' '.join(key)}: p_pass {before[key][1]:.4f} → {own[key][1]:.4f}" for key in flips),
        time.monotonic() - started,
    )  # fmt: skip


def records(files: Sequence[Path]) -> Iterator[tuple[Key, dict[str, Any]]]:
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            yield (record["mission"], record["label"], record["group_id"]), record


def photos(files: Sequence[Path]) -> dict[Key, str]:
    """The line of each photo."""
    return {(*key, photo): line for key, record in records(files) for photo, line in record["per_image"].items()}


def groups(files: Sequence[Path]) -> dict[Key, tuple[str, float]]:
    """Verdict and p_pass of each group."""
    return {key: (record["verdict"], record["p_pass"]) for key, record in records(files)}


def verdicts_of(found: dict[Key, tuple[str, float]]) -> dict[Key, str]:
    return {key: verdict for key, (verdict, _) in found.items()}


def differing(one: dict[Key, str], other: dict[Key, str]) -> int:
    """What only one of them has differs, too."""
    return sum(one.get(key) != other.get(key) for key in one | other)


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """The run in FP8 comes first."""
    runs, in_fp8 = Runs(given), Form("fp8", kv_cache=given.kv_cache)
    plain = runs.summarize("lines", PLAIN)
    verdicts = runs.judge("verdicts", plain, PLAIN)
    print(f"in 16 bits: {len(photos(plain)):,} photos, F1 {runs.f1(plain):.5f}, {len(groups(verdicts)):,} verdicts")
    print(described(), flush=True)
    yield (first := compared(runs, "all in FP8", in_fp8, plain, verdicts))
    if given.kv_cache == "fp8":
        yield compared(runs, "keys and values alone in FP8", Form(kv_cache="fp8"), plain, verdicts)
    if given.float32:
        yield compared(runs, "float32", Form(dtype="float32"), plain, verdicts)
    if given.each or not first.kept:
        for name, keep in KEPT.items():
            yield compared(runs, f"{name} in 16 bits", in_fp8._replace(keep=keep), plain, verdicts)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="What FP8 changes: lines, entries, verdicts.")
    parser.add_argument("checkpoint", help='a trained checkpoint folder, or "demo"')
    parser.add_argument("--groups", type=int, default=1_000)
    parser.add_argument(
        "--each", action="store_true", help="also each kind of layers in 16 bits; else if a bar is missed"
    )
    parser.add_argument("--float32", action="store_true", help="also a run in float32")
    parser.add_argument("--kv-cache", choices=["auto", "fp8"], default="auto", help="keys and values of the FP8 rows")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-quality")
    parser.add_argument("--json", type=Path, help="file for the results, written after every row")
    given = parser.parse_args(arguments)
    report: dict[str, Any] = {"checkpoint": given.checkpoint, "rows": []}
    with emulated(given.device):
        for row in rows(given):
            print(row, flush=True)
            report["rows"].append(asdict(row) | {"kept": row.kept})
            if given.json:
                given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    report["kept"] = report["rows"][0]["kept"]
    return report


if __name__ == "__main__":
    sys.exit(not main()["kept"])
