"""A fake ms-swift: writes the files that the trainer writes, and does what SWIFT_DOES says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

STEPS = 3
KILLED = """[rank0]: RuntimeError: [tcp/pair.cc:547] Connection closed by peer
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
======================================================
Failures:
[1]:
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 6967)  (SIGTERM)
  traceback : Signal 15 (SIGTERM) received by PID 6967
------------------------------------------------------
Root Cause (first observed failure):
[0]:
  rank      : 1 (local_rank: 1)
  exitcode  : -9 (pid: 6968)  (SIGKILL)
  traceback : Signal 9 (SIGKILL) received by PID 6968
======================================================"""  # as torchrun writes it


def main() -> None:
    args = sys.argv[1:]
    given = {arg: value for arg, value in pairwise(args) if arg.startswith("--")}
    output = Path(given["--output_dir"])
    output.mkdir(parents=True, exist_ok=True)
    if args[0] == "export":
        for path in Path(given["--model"]).iterdir():
            shutil.copy(path, output)
        (output / "args.json").write_text("{}")
    else:
        train(output, given, os.environ.get("SWIFT_DOES", ""))


def train(output: Path, given: dict[str, str], does: str) -> None:
    if does == "fail":
        raise ValueError("generation_batch_size (6) must be evenly divisible by num_generations (4).")
    if does == "fail without a message":
        sys.exit("    raise EOFError\nEOFError\nTrain:   0%|          | 0/3 [00:00<?, ?it/s]")
    if does == "find too few rows":
        log(output, {"train_runtime": 1.0, "global_step/max_steps": "0/1"})
        return
    if does == "find no GPU":
        raise ValueError("Your setup doesn't support bf16/gpu. You need to assign use_cpu if you want to train on CPU.")
    if does == "find a full disk":
        raise RuntimeError("basic_ios::clear: iostream error")  # torch.save
    if does == "refuse an argument":
        raise ValueError("remaining_argv: ['--lr', '1']")
    if does == "fail as one of two":  # what torchrun writes comes last
        sys.exit("[rank1]: ValueError: generation_batch_size (6) must be even.\n…errors.ChildFailedError: \n=====")
    if does == "be killed as one of two":
        sys.exit(KILLED)
    if does in ("be killed", "be killed with its child"):
        os.kill(os.getpid(), signal.SIGKILL) if does == "be killed" else sys.exit(-signal.SIGKILL)
    if does == "abort":
        print("torch.AcceleratorError: CUDA error: an illegal memory access was encountered", flush=True)
        os.abort()
    if does == "start another":
        start_another(output)
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


def start_another(output: Path) -> None:
    """As torchrun does: a trainer in a session of its own, here one that takes a while to end with its input."""
    code = "import sys, time; sys.stdin.read(); time.sleep(0.3); open(sys.argv[1], 'x')"
    subprocess.Popen([sys.executable, "-c", code, str(output / "ended")], start_new_session=True)


def log(output: Path, line: dict[str, object]) -> None:
    with (output / "logging.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


main()
