"""Images per second of several ways to run the workload, from JPEG files on disk to texts, with the model loaded.

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/throughput.py /tmp/4b --json /tmp/throughput.json
    python benchmarks/throughput.py /tmp/4b --only 'vLLM|all slots'              # rows whose name matches
    python benchmarks/throughput.py /tmp/4b --only '5,000 photos' --repeats 3    # each row three times

A folder without weights gets random weights, made on the device. Each answer has the length given by the workload. A
batch of the transformers engine decodes up to its longest answer, and what it decodes after the end of the others is
wasted; the continuous engine refills a slot at once. Its main rows and vLLM's rows are run three times, the others
once, or each as often as --repeats says; the median counts. vLLM has rows if it can be imported or lies in the folder
--vllm-path. Rows in FP8 follow those in 16 bits; on a CPU, FP8 is emulated. A row that fails shows its error, and the
others are still measured. The slowest rows, batches inside a group, come last and end after --minutes; they show how
many photos they did.
"""

import argparse
import json
import platform
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from forced_length_engines import ForcedLengthContinuous, ForcedLengthEngine, ForcedLengthTransformers, release
from quantized_model import emulated, quantize_
from rows import RUNS, Failed, Result, Run, measure, measure_vllm, warm_up, work
from workload import LONGEST

from yanshou.settings import EngineSettings, PhotoSettings

COLUMNS = {  # field of a result → title, alignment and width, precision
    "name": ("run", "<37", ""),
    "photos": ("photos", ">6", ""),
    "slots": ("slots", ">5", ""),
    "images_per_s": ("images/s", ">8", ".3f"),
    "groups_per_s": ("groups/s", ">8", ".3f"),
    "useful_tokens_per_s": ("useful tok/s", ">12", ".1f"),
    "wasted_tokens": ("wasted", ">6", ".1%"),
    "peak_memory_gb": ("peak GB", ">7", ".1f"),
    "waiting": ("waiting", ">7", ".1%"),
    "start_s": ("start s", ">7", ".1f"),
    "gpu_hours_per_100k": ("GPU h/100,000", ">13", ".2f"),
}


def titles() -> str:
    return "  ".join(f"{title:{width}}" for title, width, _ in COLUMNS.values())


def lines(result: Result | Failed) -> str:
    """The row of a result, and its notes below."""
    if isinstance(result, Failed):
        return f"{result.name:{COLUMNS['name'][1]}}  failed: {result.error}"
    cells = (f"{cell(getattr(result, field), precision):{width}}" for field, (_, width, precision) in COLUMNS.items())
    return "\n".join(["  ".join(cells), *(f"    {note}" for note in result.notes)])


def cell(value: object, precision: str) -> str:
    return "—" if value is None else format(value, precision)


def hardware(engine: ForcedLengthEngine) -> dict[str, Any]:
    """The machine and the software of the measurement."""
    engine_facts = {name: fact for name, fact in engine.environment().items() if name != "batch_size"}
    return {
        **engine_facts, **engine.identity(), "parameters": engine.parameter_count, "cpus": torch.get_num_threads(),
        "python": platform.python_version(), "cuda": torch.version.cuda, "yanshou": version("yanshou"),
    }  # fmt: skip


def parsed(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[Run]]:
    parser = argparse.ArgumentParser(description="Images per second of several ways to run the workload.")
    parser.add_argument("checkpoint", help="a checkpoint folder, with or without weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--attn", default="auto")
    parser.add_argument("--kv-cache", choices=["auto", "fp8"], default="auto", help="keys and values of the FP8 rows")
    parser.add_argument("--only", default="", help="only rows whose name matches this regular expression")
    parser.add_argument("--photos", type=int, default=max(run.photos for run in RUNS), help="most photos per row")
    parser.add_argument("--repeats", type=int, help="how often each row is run, whatever the row says")
    parser.add_argument("--tokens", type=int, default=LONGEST, help="most tokens per answer")
    parser.add_argument("--max-pixels", type=int, help="pixel budget of rows without one of their own")
    parser.add_argument(
        "--keep", default="", metavar="REGEX", help="layers that stay in 16 bits in the FP8 rows, by their names"
    )
    parser.add_argument("--minutes", type=float, default=2.5, help="time limit of a row inside groups")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--vllm-path", type=Path, help="the folder that contains vllm, if it is not installed")
    parser.add_argument("--json", type=Path, help="file for the results, written after every row")
    given = parser.parse_args(arguments)
    has_vllm = (given.vllm_path / "vllm").is_dir() if given.vllm_path else find_spec("vllm") is not None
    runs = [run for run in RUNS if re.search(given.only, run.name) and (has_vllm or run.engine != "vllm")]
    if not runs:
        parser.error(f"--only {given.only!r} matches none of {', '.join(run.name for run in RUNS)}")
    return given, runs


class Measurements:
    """The rows of one call, on one set of weights: in 16 bits or in FP8, whichever the row needs."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        photo = PhotoSettings(max_pixels=given.max_pixels) if given.max_pixels else PhotoSettings()
        self._settings = EngineSettings(checkpoint=given.checkpoint, device=given.device, attn=given.attn, photo=photo)
        self.engine: ForcedLengthEngine = ForcedLengthTransformers(self._settings)
        self._warm = False

    def hold(self, quantize: str) -> None:
        """Frees the weights and holds them in the other form, if a row needs it."""
        if self.engine.settings.quantize != quantize:
            vars(self.engine).pop("model", None)
            release()
            self.engine = ForcedLengthTransformers(self._settings) if quantize == "none" else self._in_fp8()

    def _in_fp8(self) -> ForcedLengthContinuous:
        settings = self._settings.model_copy(update={"dtype": "bfloat16"})
        fp8 = {"quantize": "fp8", "kv_cache": self.given.kv_cache}
        engine = ForcedLengthContinuous(settings.model_copy(update=fp8))
        if self.given.keep:
            engine.kept = self.given.keep
            vars(engine)["model"] = quantize_(ForcedLengthContinuous(settings).model, engine.kept)
        return engine

    def row(self, run: Run) -> Result | Failed:
        try:
            return self._measured(run)
        except Exception as error:  # noqa: BLE001 - whatever the error is, the other rows are measured
            return Failed(run.name, f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")

    def _measured(self, run: Run) -> Result:
        given = self.given
        requests, lengths = work(run, given.folder, given.photos, given.tokens)
        repeats = given.repeats or run.repeats
        if run.engine == "vllm":
            return measure_vllm(run, self.engine, requests, lengths, repeats, given.vllm_path)
        self.hold(run.quantize)
        if run.engine in ("transformers", "generate") and not self._warm:
            warm_up(self.engine, requests)
            self._warm = True
        _ = self.engine.model  # loaded before the clock starts
        return measure(run, self.engine, requests, lengths, repeats, 60 * given.minutes)


def main(arguments: Sequence[str] | None = None) -> list[Result | Failed]:
    given, runs = parsed(arguments)
    measurements = Measurements(given)
    report: dict[str, Any] = {"hardware": hardware(measurements.engine), "kv_cache": given.kv_cache, "runs": []}
    print(json.dumps(report["hardware"], ensure_ascii=False), titles(), sep="\n", flush=True)
    results = []
    for run in runs:
        with emulated(given.device):
            results.append(measurements.row(run))
        print(lines(results[-1]), flush=True)
        report["runs"].append(asdict(results[-1]))
        if given.json:
            given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return results


if __name__ == "__main__":
    sys.exit(any(isinstance(result, Failed) for result in main()))
