"""Rewards for GRPO: pure functions that the trainers of ms-swift and TRL call directly.

    label    1 if the first line is the human label, else 0
    format   1 if the completion is the two lines with a reason, else 0
    grounded 1 if the reason is true and complete (`reason.py`). A 通过 gets the share of the rule's requirements that
             its reason shows with an entry; each cited entry that argues for nothing counts as one more requirement.
             0 if anything in the reason is false or argues for the other verdict, and 0 without the two lines. None,
             so no reward, where the rule contradicts the label on these summaries: there is no true reason for the
             label there.

    GRPOTrainer(reward_funcs=[label, format_, grounded], args=GRPOConfig(reward_weights=[1.0, 0.2, 0.3]), …)

A completion is a text (ms-swift, TRL with plain prompts) or a list of messages (TRL with conversations), whose contents
are texts or lists of parts. Any completion gets a score. A row whose `solution` is neither 通过 nor 不通过 is an error
of the dataset and raises ValueError, and so is one without the columns `mission` and `summaries`, for `grounded`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from yanshou.errors import UsageError
from yanshou.missions import Missions, Rule, load_missions
from yanshou.schema.summary import parse
from yanshou.settings import REWARD_WEIGHTS
from yanshou.stage_b.reason import GroupReasons
from yanshou.stage_b.verdict import VERDICT_WORDS, read_verdict

Completion = str | Sequence[Mapping[str, Any]]
Reward = Callable[..., list[float | None]]
NEEDED = "The reward grounded needs both columns: build the dataset with `yanshou dataset`."


def label(completions: Sequence[Completion], solution: Sequence[str | None], **columns: Any) -> list[float | None]:
    """1.0 where the first line is the human label, else 0.0; None for a row without a label."""
    return [
        None if expected is None else float(read_verdict(_text(completion)).passed == _passed(expected))
        for completion, expected in zip(completions, solution, strict=True)
    ]


def format_(completions: Sequence[Completion], **columns: Any) -> list[float | None]:
    """1.0 where the completion is the two lines with a reason, else 0.0."""
    return [float(read_verdict(_text(completion)).complete) for completion in completions]


def grounded_under(missions: Missions) -> Reward:
    """The reward `grounded` for rows of these missions."""

    def grounded(
        completions: Sequence[Completion],
        solution: Sequence[str | None],
        mission: Sequence[str | None] = (),
        summaries: Sequence[Sequence[str] | None] = (),
        **columns: Any,
    ) -> list[float | None]:
        _check_columns(len(completions), mission, summaries)
        return [
            None if expected is None else _grounded(_text(completion), _passed(expected), _group(missions, name, lines))
            for completion, expected, name, lines in zip(completions, solution, mission, summaries, strict=True)
        ]

    grounded.__doc__ = grounded_under.__doc__
    return grounded


def grounded(completions: Sequence[Completion], **columns: Any) -> list[float | None]:
    """0 to 1, how true and complete the reason is, for rows of yanshou's own missions; None: no reason can be true."""
    return _grounded_by_own()(completions, **columns)


# name → reward, weight
REWARDS: dict[str, tuple[Reward, float]] = {
    "label": (label, REWARD_WEIGHTS["label"]),
    "format": (format_, REWARD_WEIGHTS["format"]),
    "grounded": (grounded, REWARD_WEIGHTS["grounded"]),
}


@cache
def _grounded_by_own() -> Reward:
    return grounded_under(load_missions())


def _grounded(completion: str, label_passes: bool, group: GroupReasons) -> float | None:
    if group.rules.passed != label_passes:
        return None
    read = read_verdict(completion)
    if read.passed is None or read.reason is None:
        return 0.0
    return group.check(read.passed, read.reason).score


def _group(missions: Missions, mission: str | None, summaries: Sequence[str] | None) -> GroupReasons:
    if mission is None or not summaries:
        raise ValueError(f"a row has no mission or no summaries. {NEEDED}")
    try:
        return _reasons(missions.get(mission).rule, tuple(summaries))
    except UsageError as error:
        raise ValueError(str(error)) from error


@lru_cache(maxsize=256)  # the answers to one group follow each other
def _reasons(rule: Rule, summaries: tuple[str, ...]) -> GroupReasons:
    return GroupReasons(rule, map(parse, summaries))


def _check_columns(rows: int, *columns: Sequence[Any]) -> None:
    if any(len(column) != rows for column in columns):
        raise ValueError(f"the rows lack the column mission or summaries. {NEEDED}")


def _passed(solution: str) -> bool:
    if solution not in VERDICT_WORDS:
        raise ValueError(f"solution is {solution!r}, not 通过 or 不通过. Build the dataset with `yanshou dataset`.")
    return VERDICT_WORDS[solution]


def _text(completion: Completion) -> str:
    """The text of a completion, or of its last message."""
    if isinstance(completion, str):
        return completion
    content = completion[-1].get("content") if completion else None
    if isinstance(content, str) or content is None:
        return content or ""
    return "".join(part.get("text") or "" for part in content)
