"""What a training reports step by step, read from ms-swift's `logging.jsonl`, and drawn.

    {"reward": 0.85, "kl": 0.0012, "completions/mean_length": 31.0, "frac_reward_zero_std": 0.5, …,
     "global_step/max_steps": "12/150"}

A training that was killed and resumed repeats the steps since its last checkpoint: the later line counts. A line that
was torn by the kill is left out, as is one whose step is none.

With dynamic sampling `frac_reward_zero_std` is the share that is left after looking for other groups.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from yanshou.errors import InputError, OutputError

STEP = "global_step/max_steps"
REWARD, KL, LENGTH, ZERO_STD = "reward", "kl", "completions/mean_length", "frac_reward_zero_std"
LOSS, CORRECT, SUMMARY = "loss", "token_acc", "train_runtime"
STEPS = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
LARGEST = 1e100  # what is larger, or NaN, can be neither averaged nor drawn
WINDOW = 20  # steps that a warning looks back on
FEWEST = 5  # steps that a warning needs
MOST = 0.5  # of the groups


class Panel(NamedTuple):
    """One diagram: a value of the training, and of the validation where it was reported."""

    name: str
    title: str


GRPO_PANELS = (
    Panel(REWARD, "reward"), Panel(KL, "KL to the start"), Panel(LENGTH, "tokens an answer"),
    Panel(ZERO_STD, "groups that teach nothing"),
)  # fmt: skip
SFT_PANELS = (Panel(LOSS, "loss"), Panel(CORRECT, "tokens predicted right"))

Values = dict[str, float]


@dataclass(slots=True)
class Curves:
    """Everything that is a number, by step."""

    train: dict[int, Values] = field(default_factory=dict)
    val: dict[int, Values] = field(default_factory=dict)  # under the names of the training's values
    steps: int = 0  # of the whole training, where that is known

    @property
    def step(self) -> int:
        return max(self.train, default=0)

    def of(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of the training."""
        return _series(self.train, name)

    def validation(self, name: str) -> tuple[list[int], list[float]]:
        return _series(self.val, name)

    def latest(self, name: str) -> float | None:
        _, values = self.of(name)
        return values[-1] if values else None

    def wasted(self, last: int = WINDOW) -> float | None:
        """The mean share of groups that taught nothing, over the last steps."""
        _, shares = self.of(ZERO_STD)
        return fmean(shares[-last:]) if shares else None


def read_curves(path: Path) -> Curves:
    """What is there so far; a file that is not there yet has none."""
    curves = Curves()
    for line in _lines(path):
        step, steps = _step(line)
        if step is None:
            continue
        curves.steps = steps
        values = {name: float(value) for name, value in line.items() if _is_number(value)}
        if any(name.startswith("eval_") for name in values):
            curves.val[step] = {name.removeprefix("eval_"): value for name, value in values.items()}
        elif LOSS in values:
            _forget(curves.train, step)
            _forget(curves.val, step)
            curves.train[step] = values
    return curves


def finished(path: Path) -> bool:
    """Whether the trainer came to its end: its last step's line is the summary. One that is interrupted writes none."""
    lines = [line for line in _lines(path) if STEP in line]
    return bool(lines) and SUMMARY in lines[-1]


def warning(curves: Curves, last: int = WINDOW) -> str:
    """What to say where most groups teach nothing, or ""."""
    wasted, (_, rewards) = curves.wasted(last), curves.of(REWARD)
    if wasted is None or wasted <= MOST or len(rewards) < FEWEST:
        return ""
    cure = (
        "The answers earn little: has the checkpoint learned the two lines of a verdict? Start with --sft"
        if fmean(rewards[-last:]) < 0.6  # half of label : format = 1.0 : 0.2
        else "The checkpoint is too sure of them: raise --temperature or --generations, or train on harder groups"
    )
    steps = f"the last {min(last, len(rewards))} steps"
    return f"most groups teach nothing: in {wasted:.0%} of them, over {steps}, every answer earned the same. {cure}."


def draw(curves: Curves, path: Path) -> None:
    """Draws the curves into a PNG. Raises OutputError where it cannot be written."""
    from matplotlib.figure import Figure

    panels = GRPO_PANELS if curves.of(REWARD)[0] else SFT_PANELS
    figure = Figure(figsize=(10, 3.2 * math.ceil(len(panels) / 2)), layout="constrained")
    for axes, panel in zip(figure.subplots(math.ceil(len(panels) / 2), 2).flat, panels, strict=True):
        axes.plot(*curves.of(panel.name), marker=".", label="training")
        if curves.validation(panel.name)[0]:
            axes.plot(*curves.validation(panel.name), marker="o", label="validation")
            axes.legend()
        axes.set(title=panel.title, xlabel="step")
        axes.grid(visible=True, alpha=0.3)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}. Make room and run again.") from error


def _series(points: dict[int, Values], name: str) -> tuple[list[int], list[float]]:
    found = sorted((step, values[name]) for step, values in points.items() if name in values)
    return [step for step, _ in found], [value for _, value in found]


def _forget(points: dict[int, Values], step: int) -> None:
    for later in [known for known in points if known >= step]:
        del points[later]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Check the path, or start over: --fresh."
        ) from error
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _step(line: dict[str, Any]) -> tuple[int | None, int]:
    found = STEPS.fullmatch(str(line.get(STEP, "")))
    return (int(found[1]), int(found[2])) if found else (None, 0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def shown(curves: Curves) -> Iterable[str]:
    """The latest values in a few words: `reward 0.85`, `KL to the start 0.0012`, …"""
    panels = GRPO_PANELS if curves.of(REWARD)[0] else SFT_PANELS
    for panel in panels:
        value = curves.latest(panel.name)
        if value is not None:
            yield f"{panel.title} {value:.0%}" if panel.name == ZERO_STD else f"{panel.title} {value:.3g}"
