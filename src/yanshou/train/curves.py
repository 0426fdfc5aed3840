"""The curves of a training: read from ms-swift's `logging.jsonl`, drawn into a PNG.

    {"reward": 0.85, "kl": 0.0012, "completions/mean_length": 31.0, "frac_reward_zero_std": 0.5, …,
     "global_step/max_steps": "12/150"}

A training that was killed and resumed repeats the steps since its last checkpoint: the later line counts. Lines that
a kill left incomplete and lines without a step are skipped.

`frac_reward_zero_std` is the share of groups whose answers all earn the same: they teach nothing. With dynamic sampling
it is the share that remains after looking for other groups.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from yanshou.errors import InputError
from yanshou.storage.atomic import replacing

STEP = "global_step/max_steps"
REWARD, KL, LENGTH, ZERO_STD = "reward", "kl", "completions/mean_length", "frac_reward_zero_std"
LOSS, CORRECT, SUMMARY = "loss", "token_acc", "train_runtime"
STEPS = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
ONE_REWARD = re.compile(r"rewards/(\w+)/mean")  # before its weight
LARGEST = 1e100  # larger values and NaN are skipped: they can be neither averaged nor drawn
WINDOW = 20  # the steps that a warning is about
MIN_STEPS = 5  # before the first warning
MAX_ZERO_STD = 0.5  # the share of groups that teach nothing above which there is a warning
LOW_REWARD = 0.5  # of the highest reward


class Panel(NamedTuple):
    """One diagram: a value of the training, and of the validation where that is reported."""

    name: str
    title: str


GRPO_PANELS = (
    Panel(REWARD, "reward"), Panel(KL, "KL to the initial checkpoint"), Panel(LENGTH, "tokens per answer"),
    Panel(ZERO_STD, "groups that teach nothing"),
)  # fmt: skip
SFT_PANELS = (Panel(LOSS, "loss"), Panel(CORRECT, "token accuracy"))

Values = dict[str, float]


@dataclass(slots=True)
class Curves:
    """All numbers of the log, by step."""

    train: dict[int, Values] = field(default_factory=dict)
    val: dict[int, Values] = field(default_factory=dict)  # under the names of the training's values
    steps: int = 0  # of the whole training; 0: not known

    @property
    def step(self) -> int:
        """The latest step; 0 before the first."""
        return max(self.train, default=0)

    def of(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of the training."""
        return _series(self.train, name)

    def rewards(self) -> dict[str, tuple[list[int], list[float]]]:
        """Steps and values of each reward function, before its weight, by its name."""
        names = {
            name: found[1].lower()
            for values in self.train.values()
            for name in values
            if (found := ONE_REWARD.fullmatch(name))
        }
        return {short: self.of(name) for name, short in sorted(names.items())}

    def validation(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of the validation."""
        return _series(self.val, name)

    def latest(self, name: str) -> float | None:
        """The training's latest value."""
        _, values = self.of(name)
        return values[-1] if values else None

    def zero_std_share(self, last: int = WINDOW) -> float | None:
        """The mean share of groups that taught nothing, over the last steps."""
        _, shares = self.of(ZERO_STD)
        return fmean(shares[-last:]) if shares else None


def read_curves(path: Path) -> Curves:
    """The curves so far; empty where there is no file yet. Raises InputError."""
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
            _drop_from(curves.train, step)
            _drop_from(curves.val, step)
            curves.train[step] = values
    return curves


class CurveReader:
    """Reads a log again only when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._curves = Curves()
        self._state: tuple[int, int] | None = None  # size and time of change when it was last read

    def read(self) -> Curves:
        """The curves so far."""
        with suppress(FileNotFoundError):
            stat = self._path.stat()
            if self._state != (state := (stat.st_size, stat.st_mtime_ns)):
                self._curves, self._state = read_curves(self._path), state
        return self._curves


def finished(path: Path) -> bool:
    """Whether the trainer came to its end: only then is its last line the summary of the training."""
    lines = [line for line in _lines(path) if STEP in line]
    return bool(lines) and SUMMARY in lines[-1]


def warning(curves: Curves, last: int = WINDOW, highest: float = 1.2) -> str:
    """The warning about a training in which most groups teach nothing, or "". `highest`: the sum of the weights."""
    share, (_, rewards) = curves.zero_std_share(last), curves.of(REWARD)
    if share is None or share <= MAX_ZERO_STD or len(rewards) < MIN_STEPS:
        return ""
    cure = (
        "The answers earn little: the checkpoint may not have learnt the two lines of a verdict. Train it with --sft "
        "first"
        if fmean(rewards[-last:]) < LOW_REWARD * highest
        else "The checkpoint is too certain: raise --temperature or --generations, or train on harder groups"
    )
    steps = min(last, len(rewards))
    return (
        f"most groups teach nothing: in {share:.0%} of them, over the last {steps} steps, every answer earned the "
        f"same. {cure}."
    )


def draw(curves: Curves, path: Path) -> None:
    """Draws the curves into a PNG. Raises OutputError where it cannot be written."""
    from matplotlib.figure import Figure

    panels = GRPO_PANELS if curves.of(REWARD)[0] else SFT_PANELS
    figure = Figure(figsize=(10, 3.2 * math.ceil(len(panels) / 2)), layout="constrained")
    for axes, panel in zip(figure.subplots(math.ceil(len(panels) / 2), 2).flat, panels, strict=True):
        rewards = curves.rewards() if panel.name == REWARD else {}
        axes.plot(*curves.of(panel.name), marker=".", label="sum by weight" if rewards else "training")
        for name, curve in rewards.items():
            axes.plot(*curve, linewidth=1, label=name)
        if curves.validation(panel.name)[0]:
            axes.plot(*curves.validation(panel.name), marker="o", label="validation")
        if len(axes.lines) > 1:
            axes.legend()
        axes.set(title=panel.title, xlabel="step")
        axes.grid(visible=True, alpha=0.3)
    with replacing(path) as draft:
        figure.savefig(draft, dpi=120, format="png")


def _series(points: dict[int, Values], name: str) -> tuple[list[int], list[float]]:
    found = sorted((step, values[name]) for step, values in points.items() if name in values)
    return [step for step, _ in found], [value for _, value in found]


def _drop_from(points: dict[int, Values], step: int) -> None:
    """Drops what an interrupted training reported of this and later steps."""
    for later in [known for known in points if known >= step]:
        del points[later]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Check the path, or start over with --fresh."
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


def latest_values(curves: Curves) -> Iterable[str]:
    """The latest values for a line of progress: `reward 0.85`, `KL to the initial checkpoint 0.0012`, …"""
    panels = GRPO_PANELS if curves.of(REWARD)[0] else SFT_PANELS
    for panel in panels:
        value = curves.latest(panel.name)
        if value is not None:
            yield f"{panel.title} {value:.0%}" if panel.name == ZERO_STD else f"{panel.title} {value:.3g}"
