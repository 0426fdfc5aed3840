"""Curves from the lines that ms-swift 4.6 writes into logging.jsonl."""

import json
from pathlib import Path
from typing import Any

import pytest

from yanshou.train import curves as module
from yanshou.train.curves import CurveReader, Curves, draw, finished, latest_values, read_curves, warning


def step(number: int, reward: float = 0.5, zero_std: float = 0.0) -> dict[str, Any]:
    return {
        "loss": 0.0, "reward": reward, "kl": 0.25, "completions/mean_length": 16.0, "frac_reward_zero_std": zero_std,
        "elapsed_time": "8s", "global_step/max_steps": f"{number}/9",
    }  # fmt: skip


def log(tmp_path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines]
    path = tmp_path / "logging.jsonl"
    path.write_text("".join(texts), encoding="utf-8")
    return path


def validated(number: int, reward: float) -> dict[str, Any]:
    return {"eval_loss": 0.0, "eval_reward": reward, "global_step/max_steps": f"{number}/9"}


def test_every_step_and_every_validation_is_read(tmp_path: Path) -> None:
    curves = read_curves(log(tmp_path, step(1, 0.2), validated(1, 0.4), step(2, 0.6)))
    assert curves.of("reward") == ([1, 2], [0.2, 0.6])
    assert curves.validation("reward") == ([1], [0.4])
    assert (curves.step, curves.steps) == (2, 9)
    assert list(latest_values(curves)) == [
        "reward 0.6", "KL to the initial checkpoint 0.25", "tokens per answer 16", "groups that teach nothing 0%",
    ]  # fmt: skip


def test_each_reward_has_a_curve_of_its_own(tmp_path: Path) -> None:
    rewards = {"rewards/Label/mean": 0.5, "rewards/Label/std": 0.1, "rewards/Grounded/mean": 0.25}
    curves = read_curves(log(tmp_path, {**step(1), **rewards}, step(2)))
    assert curves.rewards() == {"grounded": ([1], [0.25]), "label": ([1], [0.5])}


def test_steps_repeated_after_a_resume_count_once(tmp_path: Path) -> None:
    lines = [step(1, 0.1), step(2, 0.2), validated(2, 0.9), step(3, 0.3), step(2, 0.5)]
    curves = read_curves(log(tmp_path, *lines))
    assert curves.of("reward") == ([1, 2], [0.1, 0.5])
    assert curves.validation("reward") == ([], [])


def test_a_line_that_a_kill_left_incomplete_is_skipped(tmp_path: Path) -> None:
    assert read_curves(log(tmp_path, step(1), '{"loss": 0.0, "rew')).step == 1


@pytest.mark.parametrize(
    "line", ['"2²/1", "loss": 1', f'"{"2" * 5000}/9", "loss": 1', f'"2/{"9" * 5000}", "loss": 1',
             f'"2/9", "loss": 1{"0" * 400}', '"2/9", "loss": NaN']
)  # fmt: skip
def test_a_line_that_no_trainer_writes_is_skipped(tmp_path: Path, line: str) -> None:
    curves = read_curves(log(tmp_path, step(1), f'{{"global_step/max_steps": {line}}}\n'))
    assert (list(curves.train), curves.step) == ([1], 1)


def test_values_too_large_for_a_mean_are_skipped(tmp_path: Path) -> None:
    assert warning(read_curves(log(tmp_path, *(step(number, 1e308, 1e308) for number in range(1, 8))))) == ""


def test_no_file_yet_is_no_step(tmp_path: Path) -> None:
    assert read_curves(tmp_path / "logging.jsonl").step == 0
    assert not finished(tmp_path / "logging.jsonl")


def test_a_log_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    monkeypatch.setattr(module, "read_curves", lambda path: reads.append(path) or read_curves(path))
    reader = CurveReader(tmp_path / "logging.jsonl")
    assert (reader.read().step, reads) == (0, [])
    for number in (1, 2):
        path = log(tmp_path, *(step(at) for at in range(1, number + 1)))
        assert [reader.read().step for _ in range(5)] == [number] * 5
    assert reads == [path, path]


def test_only_a_training_that_came_to_its_end_is_finished(tmp_path: Path) -> None:
    summary = {"train_runtime": 31.7, "train_loss": 0.0, "global_step/max_steps": "9/9"}
    end = {"last_model_checkpoint": "/o/checkpoint-9"}  # an interrupted trainer writes this, too
    assert finished(log(tmp_path, step(9), summary, end))
    assert not finished(log(tmp_path, step(3), end))
    assert not finished(log(tmp_path, step(3), end, step(4)))


@pytest.mark.parametrize(("reward", "cure"), [(1.2, "raise --temperature"), (0.1, "--sft")])
def test_a_training_that_teaches_nothing_warns_and_names_a_cure(tmp_path: Path, reward: float, cure: str) -> None:
    curves = read_curves(log(tmp_path, *(step(number, reward, zero_std=0.75) for number in range(1, 8))))
    assert "in 75% of them, over the last 7 steps, every answer earned the same" in warning(curves)
    assert cure in warning(curves)


def test_a_training_that_teaches_does_not_warn(tmp_path: Path) -> None:
    assert warning(read_curves(log(tmp_path, *(step(number, zero_std=0.25) for number in range(1, 8))))) == ""
    assert warning(Curves()) == ""


@pytest.mark.parametrize("lines", [[step(1), step(2), validated(2, 0.3)],
                                   [{"loss": 1.5, "token_acc": 0.5, "global_step/max_steps": "1/2"}]])  # fmt: skip
def test_the_curves_become_a_png(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra train)")
    draw(read_curves(log(tmp_path, *lines)), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
