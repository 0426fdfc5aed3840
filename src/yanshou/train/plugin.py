"""yanshou's rewards for ms-swift: `--external_plugins plugin.py --reward_funcs yanshou_label yanshou_format …`.

The trainer imports this file by its path. The rewards themselves are in `yanshou.stage_b.rewards`.
The launcher names the files of additional missions in an environment variable.

It also corrects ms-swift 4.6 in two places: an empty answer would end the training, and one of several trainers could
abort at its very end.
"""

import atexit
import json
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch.distributed
from swift.infer_engine import TransformersEngine
from swift.rewards import ORM, orms

from yanshou.missions import load_missions
from yanshou.stage_b.rewards import REWARDS, Reward, grounded_under
from yanshou.train.command import LAUNCHER_ENV, MISSIONS_ENV, PREFIX
from yanshou.watchdog import end_with_parent

GLOO_ENDS_S = 0.5  # far more than the 5 ms after which Python hands its lock to a thread that asks for it


def _orm(name: str, reward: Reward) -> type:
    """A reward as ms-swift's class, under whose name it is logged: `rewards/Label/mean`."""

    def score(self: Any, completions: Any, **columns: Any) -> list[float | None]:
        return reward(completions, **columns)

    return type(name.capitalize(), (ORM,), {"__call__": score, "__doc__": reward.__doc__})


def _with_a_token(infer: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """The engine's method, whose answers keep at least one token.

    ms-swift removes the padding token from an answer. Qwen's <|endoftext|> pads, but it also ends an answer. One that
    begins with it has no token left. ms-swift then takes its whole row for the answer and asks for one logit more than
    there are: "Size does not match at dimension 1".
    """

    @wraps(infer)
    def inferred(engine: Any, *arguments: Any, **named: Any) -> list[Any]:
        responses = infer(engine, *arguments, **named)
        for choice in (choice for response in responses for choice in response.choices):
            if choice.token_ids == []:
                choice.token_ids = [engine.tokenizer.pad_token_id]  # the token that was sampled
        return responses

    return inferred


def _let_gloo_end() -> None:
    """Waits where a thread of gloo may still free the tensors of the last collective.

    It takes Python's lock for that. Once Python has begun to end, asking for the lock ends the thread, and that aborts
    the process: "terminate called without an active exception" (torch 2.14).
    """
    if torch.distributed.is_initialized():
        time.sleep(GLOO_ENDS_S)


def _read_stdin_to_end() -> None:
    """The launcher holds the other end of standard input, so this returns when the launcher has ended."""
    while os.read(sys.stdin.fileno(), 1024):
        pass


for _name, (_reward, _) in REWARDS.items():
    orms[PREFIX + _name] = _orm(_name, _reward)

if _files := json.loads(os.environ.get(MISSIONS_ENV, "[]")):
    orms[PREFIX + "grounded"] = _orm("grounded", grounded_under(load_missions(tuple(map(Path, _files)))))

atexit.register(_let_gloo_end)
TransformersEngine._infer_full = _with_a_token(TransformersEngine._infer_full)

if os.environ.pop(LAUNCHER_ENV, ""):  # in the trainer alone: the processes that it starts do not inherit the variable
    end_with_parent(_read_stdin_to_end)
