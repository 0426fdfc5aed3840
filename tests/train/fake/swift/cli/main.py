"""A fake ms-swift: writes the files that the trainer writes, and does what SWIFT_DOES says."""

import json
import os
import shutil
import sys
import time
from itertools import pairwise
from pathlib import Path

STEPS = 3


def main() -> None:
    args = sys.argv[1:]
    given = {arg: value for arg, value in pairwise(args) if arg.startswith("--")}
    output = Path(given["--output_dir"])
    output.mkdir(parents=True, exist_ok=True)
    if args[0] == "export":
        for path in Path(os.environ["SWIFT_MODEL"]).iterdir():
            shutil.copy(path, output)
        (output / "args.json").write_text("{}")
    else:
        train(output, given, os.environ.get("SWIFT_DOES", ""))


def train(output: Path, given: dict[str, str], does: str) -> None:
    if does == "fail":
        raise ValueError("generation_batch_size (6) must be evenly divisible by num_generations (4).")
    cache = Path(os.environ["MODELSCOPE_CACHE"]) / "datasets"
    cache.mkdir(parents=True)  # fails where an earlier training has left rows
    begin = int(given.get("--resume_from_checkpoint", "-0").rpartition("-")[2])
    for step in range(begin + 1, STEPS + 1):
        log(output, {"loss": 0.0, "reward": step / 10, "global_step/max_steps": f"{step}/{STEPS}"})
        folder = output / f"checkpoint-{step}"
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text("{}")
        if does == "hang" and step == 2:
            time.sleep(60)  # in the middle of writing checkpoint-2
        (folder / "trainer_state.json").write_text("{}")
    log(output, {"train_runtime": 1.0, "global_step/max_steps": f"{STEPS}/{STEPS}"})


def log(output: Path, line: dict[str, object]) -> None:
    with (output / "logging.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


main()
