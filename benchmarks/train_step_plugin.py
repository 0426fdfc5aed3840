"""Loaded by ms-swift's trainer in place of yanshou's plugin: a reward with variance, and a log of what takes the time.

    {"what": "rollout", "begin": 812.4, "seconds": 6.1}      also "logps": two forwards, of the model and its reference
    {"what": "step", "begin": 830.2, "allocated": 15.1, "reserved": 19.0, "card": 20.2, "tokens": 128.0}      its end

Random weights never write the two lines of a verdict, so all answers would earn 0 and no gradient would flow. The
reward `label` is therefore a hash of the answer, between 0 and 1. Times are those of the first process, in seconds of
a monotonic clock; memory is in GB (10^9 bytes), the most so far; `card` is all that is in use on the card at that time.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from swift.rlhf_trainers.grpo_trainer import GRPOTrainer

from yanshou.stage_b.rewards import REWARDS

LOG = "TRAIN_STEP_LOG"  # the variable with the log's path
TIMED = {"_generate_completions": "rollout", "_prepare_batch_inputs": "logps"}


def hash_of_answer(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """A number between 0 and 1 that only the answer's text decides."""
    return [sha256(str(completion).encode()).digest()[0] / 255 for completion in completions]


def _timed(what: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def measured(*args: Any, **named: Any) -> Any:
        begin = _now()
        result = method(*args, **named)
        _write(what=what, begin=begin, seconds=_now() - begin)
        return result

    return measured


def _noted(log: Callable[..., Any]) -> Callable[..., Any]:
    """The trainer's `log`, which it calls at the end of each step and with the summary."""

    @wraps(log)
    def noted(self: Any, logs: dict[str, float], *args: Any, **named: Any) -> Any:
        if "loss" in logs:
            lengths = self._metrics["train"]["completions/mean_length"]  # emptied by log
            _write(what="step", begin=_now(), tokens=sum(lengths) / max(1, len(lengths)), **_memory())
        elif "eval_runtime" in logs or any(name.startswith("eval_") for name in logs):
            _write(what="evaluation", begin=_now())
        return log(self, logs, *args, **named)

    return noted


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()


def _memory() -> dict[str, float]:
    if not torch.cuda.is_available():
        return {"allocated": 0.0, "reserved": 0.0, "card": 0.0}
    free, total = torch.cuda.mem_get_info()
    used = {
        "allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved(),
        "card": total - free,
    }  # fmt: skip
    return {name: count / 1e9 for name, count in used.items()}


def _write(**line: Any) -> None:
    if os.environ.get("RANK", "0") == "0":
        with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


REWARDS["label"] = (hash_of_answer, 1.0)
for _name, _what in TIMED.items():
    setattr(GRPOTrainer, _name, _timed(_what, getattr(GRPOTrainer, _name)))
GRPOTrainer.log = _noted(GRPOTrainer.log)

import yanshou.train.plugin  # noqa: E402, F401 - registers REWARDS as they are now
