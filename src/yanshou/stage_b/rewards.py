"""Rewards for GRPO: pure functions that the trainers of ms-swift and TRL call directly.

    label    1 if the first line is the human label, else 0
    format   1 if the completion is the two lines with a reason, else 0

    GRPOTrainer(reward_funcs=[label, format_], args=GRPOConfig(reward_weights=[1.0, 0.2]), …)

A completion is a text (ms-swift, TRL with plain prompts) or a list of messages (TRL with conversations). Any completion
gets a score. A row whose `solution` is neither 通过 nor 不通过 is an error of the dataset and raises ValueError.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from yanshou.stage_b.verdict import VERDICT_WORDS, read_verdict

Completion = str | Sequence[Mapping[str, Any]]
Reward = Callable[..., list[float | None]]


def label(completions: Sequence[Completion], solution: Sequence[str | None], **columns: Any) -> list[float | None]:
    """1.0 where the first line is the human label, else 0.0; None for a row without a label."""
    return [
        None if expected is None else float(read_verdict(_text(completion)).passed == _passed(expected))
        for completion, expected in zip(completions, solution, strict=True)
    ]


def format_(completions: Sequence[Completion], **columns: Any) -> list[float | None]:
    """1.0 where the completion is the two lines with a reason, else 0.0."""
    return [float(read_verdict(_text(completion)).complete) for completion in completions]


REWARDS: dict[str, tuple[Reward, float]] = {"label": (label, 1.0), "format": (format_, 0.2)}  # name → reward, weight


def _passed(solution: str) -> bool:
    if solution not in VERDICT_WORDS:
        raise ValueError(f"solution is {solution!r}, not 通过 or 不通过. Build the dataset with `yanshou dataset`.")
    return VERDICT_WORDS[solution]


def _text(completion: Completion) -> str:
    """The text of a completion, or of its last message."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
