"""A few steps of ms-swift's real trainer on the CPU: killed, resumed, merged, loaded. About four minutes.

pytest -m train tests/train/test_real.py
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from support.lines import write_lines
from support.serving import free_port
from support.training_rows import rows

from yanshou.engines import checkpoint
from yanshou.engines.base import Completion, Request
from yanshou.missions import load_missions
from yanshou.missions.prompts import verdict_prompt
from yanshou.settings import EngineSettings, SamplingSettings, TrainSettings
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.train.curves import KL, read_curves
from yanshou.train.run import Training

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(find_spec("swift") is None, reason="ms-swift is not installed: pip install 'yanshou[train]'"),
]
Build = Callable[..., TrainSettings]

RUN = """
import sys
from yanshou.cli.signals import interruptible
from yanshou.settings import TrainSettings
from yanshou.train.run import Training
training = Training(TrainSettings.model_validate_json(sys.argv[1]))
with interruptible(training.interrupt):
    sys.exit(training.run().status)
"""
SMALL = {"batch_size": 8, "accumulation": 1, "max_new_tokens": 24, "save_steps": 1}


def run(settings: TrainSettings, until: str = "", kill: signal.Signals = signal.SIGINT) -> int:
    """Trains in a process of its own, until it ends or a file exists; returns the exit status."""
    process = subprocess.Popen([sys.executable, "-c", RUN, settings.model_dump_json()])
    while until and process.poll() is None:
        if (settings.output_dir / until).exists():
            process.send_signal(kill)
            break
        time.sleep(0.1)
    return process.wait(300)


def ended(folder: Path, within_s: float = 30) -> bool:
    """Whether no trainer is left; a busy machine may take some seconds to end one."""
    deadline = time.monotonic() + within_s
    while trainers(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not trainers(folder)


def trainers(folder: Path) -> list[str]:
    """Command lines of processes that train in the folder."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    return [line.decode(errors="replace") for line in lines if str(folder / "swift").encode() in line]


def answers(folder: Path) -> list[str]:
    """The answers of the folder's checkpoint, in the transformers engine, about two groups."""
    from yanshou.engines.transformers.engine import TransformersEngine

    known = load_missions()
    prompts = [verdict_prompt(known.get(row["mission"]), row["summaries"]) for row in rows(2, 9)]
    settings = EngineSettings(checkpoint=str(folder), device="cpu", sampling=SamplingSettings(max_new_tokens=48))
    requests = [Request(number, prompt, None, str(number)) for number, prompt in enumerate(prompts)]
    completions = [
        answer for answer in TransformersEngine(settings).generate(requests) if isinstance(answer, Completion)
    ]
    assert len(completions) == 2
    return [completion.text for completion in completions]


def asked(folder: Path) -> set[str]:
    """The prompts that the trainer gave to the model."""
    lines = (folder / "swift/completions.jsonl").read_text(encoding="utf-8").splitlines()
    return {prompt for line in lines for prompt in json.loads(line)["prompt"]}


def rendered(row: dict[str, Any]) -> str:
    """The prompt as the engines render it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.locate("demo"))
    return str(tokenizer.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True))


def changed(final: Path) -> set[str]:
    """Names of the weights that differ from the demo checkpoint's."""
    before = {
        name: w for path in checkpoint.locate("demo").glob("*.safetensors") for name, w in load_file(path).items()
    }
    after = {name: w for path in final.glob("*.safetensors") for name, w in load_file(path).items()}
    assert set(before) == set(after)
    return {name for name, weight in after.items() if not weight.equal(before[name].to(weight.dtype))}


def test_grpo_killed_and_resumed_becomes_a_checkpoint(settings: Build) -> None:
    hot = {"temperature": 3.0, "top_p": 1.0}  # the shipped checkpoint is certain of its answers
    few = settings(**SMALL, **hot, max_steps=3, learning_rate=1e-2, last_blocks=2, reward=("grounded=0.3",))
    assert run(few, until="swift/checkpoint-1/trainer_state.json", kill=signal.SIGKILL) == -signal.SIGKILL
    assert ended(few.output_dir)  # with its launcher
    log = (few.output_dir / "swift.log").read_text(encoding="utf-8", errors="replace")
    assert "retry" not in log  # no hub was asked
    assert asked(few.output_dir) <= {rendered(row) for row in rows(12, 1) + rows(2, 2)}  # no default system prompt
    assert Training(few).command_line().count("--resume_from_checkpoint") == 1
    assert run(few) == 0
    assert (few.output_dir / "curves.png").stat().st_size > 10_000
    steps, divergences = read_curves(few.output_dir / "swift/logging.jsonl").of(KL)
    assert steps == [1, 2, 3]
    assert divergences[0] == 0 < divergences[-1]  # it starts at the checkpoint and moves away from it
    for name in ("Label", "Format", "Grounded"):
        assert len(read_curves(few.output_dir / "swift/logging.jsonl").of(f"rewards/{name}/mean")[0]) == 3
    names = changed(few.output_dir / "final")
    assert names
    assert all(name.startswith(("model.language_model.layers.4.", "model.language_model.layers.5.")) for name in names)
    assert all(answers(few.output_dir / "final"))


def test_empty_answers_are_trained_on(settings: Build, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint.locate("demo"), tmp_path / "silent")
    path = folder / "generation_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text_config"]["vocab_size"]
    config["suppress_tokens"] = [token for token in range(vocabulary) if token not in (config["pad_token_id"], 300)]
    path.write_text(
        json.dumps(config), encoding="utf-8"
    )  # <|endoftext|> or another token: half of all answers are empty
    few = settings(checkpoint=str(folder), val_file=None, **SMALL, temperature=100.0, top_p=1.0, max_steps=2)
    assert run(few) == 0
    lines = (few.output_dir / "swift/completions.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines for text in json.loads(line)["completion"]]
    assert any(text in ("", "<|endoftext|>") for text in texts), texts


def test_an_interrupt_ends_the_trainer_and_says_130(settings: Build) -> None:
    few = settings(**SMALL, max_steps=3)
    assert run(few, until="swift/checkpoint-1/trainer_state.json") == 130
    assert ended(few.output_dir)


def test_two_processes_train_one_checkpoint(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two GPUs, but through gloo: interrupted, resumed and merged."""
    monkeypatch.setenv("NPROC_PER_NODE", "2")
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    hot = {"temperature": 3.0, "top_p": 1.0, "learning_rate": 1e-2}
    few = settings(**(SMALL | {"batch_size": 4}), **hot, max_steps=2, val_file=None)
    assert run(few, until="swift/checkpoint-1/trainer_state.json") == 130
    assert not trainers(few.output_dir)  # both have ended before the command does
    assert run(few) == 0
    arguments = json.loads((few.output_dir / "swift/args.json").read_text(encoding="utf-8"))
    assert arguments["global_world_size"] == 2
    assert read_curves(few.output_dir / "swift/logging.jsonl").of(KL)[0] == [1, 2]  # one process writes it
    assert len(asked(few.output_dir)) == 4  # each process has a group of its own in each step
    assert changed(few.output_dir / "final")
    assert all(answers(few.output_dir / "final"))


def test_sft_teaches_the_two_lines(settings: Build, tmp_path: Path) -> None:
    few = settings(sft=True, tuner="full", batch_size=4, accumulation=1, max_steps=3, save_steps=3,
                   train_file=write_lines(tmp_path / "sft.jsonl", rows(12, 4)))  # fmt: skip
    assert run(few) == 0
    names = changed(few.output_dir / "final")
    assert names
    assert not [name for name in names if "visual" in name]
    assert all(text.splitlines()[0] in (PASS, FAIL) for text in answers(few.output_dir / "final"))
