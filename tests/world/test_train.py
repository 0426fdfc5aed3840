"""Training: a few steps on the CPU, the same ones after an interruption, and a folder that loads."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

from yanshou.missions import load_missions
from yanshou.missions.rules import decide
from yanshou.schema.summary import parse
from yanshou.world.jobs import random_job
from yanshou.world.train import STATE, Plan, Trainer, main
from yanshou.world.training_batches import CLOSE_UPS, IGNORED, VERDICT_EVERY, TrainBatches, hasty_verdict

STEPS = VERDICT_EVERY + 1  # the last but one is of verdicts, which leave the vision tower's optimizer behind

PLAN = Plan(
    output_dir=Path(),
    steps=STEPS,
    minutes=math.inf,
    pause_after=math.inf,
    batch_size=2,
    learning_rate=1e-2,
    warmup=2,
    device="cpu",
    workers=0,
    seed=0,
    exam=1,
    exam_every=1000,
    close_ups=0,
    verdict_every=VERDICT_EVERY,
    compile=False,
)


@pytest.fixture(scope="module", autouse=True)
def _short_answers() -> Iterator[None]:
    """A model that has learned nothing never ends its line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yanshou.world.evaluation.LINE_TOKENS", 2)
        yield


@pytest.fixture(scope="module")
def lessons(untrained: Path) -> TrainBatches:
    return TrainBatches(AutoProcessor.from_pretrained(untrained), seed=0, rows=2, first=0, last=100)


def _state(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / STATE, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained without an interruption."""
    from .conftest import write_tiny

    folder = write_tiny(tmp_path_factory.mktemp("trained"))
    Trainer(replace(PLAN, output_dir=folder)).run()
    return folder


def test_interrupted_training_ends_where_uninterrupted_does(trained: Path, new_tiny: Callable[[str], Path]) -> None:
    folder = new_tiny("interrupted")
    plan = replace(PLAN, output_dir=folder)
    Trainer(replace(plan, pause_after=0)).run()  # one step
    for steps in (VERDICT_EVERY, STEPS):  # up to the verdicts, then what comes after them
        trainer = Trainer(plan)
        _train_to(trainer, steps)

    ours, theirs = _state(folder), _state(trained)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=1e-4, msg=name)


def _train_to(trainer: Trainer, steps: int) -> None:
    """As `run` does, paused at a step instead of a minute."""
    lessons = trainer._lessons()
    while trainer.step < steps:
        trainer._learn(next(lessons))
        trainer.step += 1
    trainer._examine_and_save()


def test_training_moves_every_weight(trained: Path, tiny: Path) -> None:
    before = Qwen3VLForConditionalGeneration.from_pretrained(tiny, dtype=torch.float32)
    after = _state(trained)

    still = [name for name, weight in before.named_parameters() if torch.equal(weight, after[f"weight.{name}"])]
    assert still == []


def test_the_loss_falls_on_a_lesson_that_is_repeated(new_tiny: Callable[[str], Path]) -> None:
    trainer = Trainer(replace(PLAN, output_dir=new_tiny("repeated"), steps=1000))
    lesson = next(trainer._lessons())
    losses = [float(trainer._learn(lesson)) for _ in range(8)]

    assert losses[-1] < losses[0] - 1


def test_the_result_loads_in_bf16_with_the_trained_weights(trained: Path) -> None:
    model, loading = Qwen3VLForConditionalGeneration.from_pretrained(trained, dtype="auto", output_loading_info=True)
    state = _state(trained)

    assert model.dtype == torch.bfloat16
    assert not any(loading.values()), loading
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, state[f"weight.{name}"].bfloat16()), name


def test_the_figures_are_written_down(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "training.jsonl").read_text(encoding="utf-8").splitlines()]

    assert [line["step"] for line in lines] == [STEPS]
    assert lines[0].keys() == {"step", "seconds", "exam_photos", "lines_right", "verdicts_right"}
    assert lines[0]["exam_photos"] == 2 * len(list(load_missions()))


def test_the_full_checkpoint_fits_the_repository(tmp_path: Path) -> None:
    """At most 15 MB a file, 24 MB of weights in all, and the untrained file is gone."""
    trainer = Trainer(replace(PLAN, output_dir=tmp_path))
    trainer._save_checkpoint()

    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.safetensors")}
    assert sorted(sizes) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert max(sizes.values()) <= 15e6
    assert sum(sizes.values()) <= 24e6
    assert not (tmp_path / "draft").exists()
    Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)


def test_the_command_trains_and_goes_on(new_tiny: Callable[[str], Path]) -> None:
    folder = new_tiny("command")
    flags = ["--output-dir", str(folder), "--device", "cpu", "--workers", "0", "--batch-size", "1", "--exam", "1"]
    results = [CliRunner().invoke(main, [*flags, "--steps", str(steps)]) for steps in (1, 2)]

    assert [result.exit_code for result in results] == [0, 0]
    assert [json.loads(result.stdout.splitlines()[-1])["step"] for result in results] == [1, 2]

    figures = (folder / "training.jsonl").read_bytes()
    again = CliRunner().invoke(main, [*flags, "--steps", "2"])
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr.endswith("finished at step 2. More --steps or --minutes go on.\n")
    assert (folder / "training.jsonl").read_bytes() == figures


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--minutes", "0", "0.0 is not in the range x>0"),
        ("--minutes", "nan", "nan is no number"),
        ("--pause-after", "nan", "nan is no number"),
        ("--learning-rate", "nan", "nan is no number"),
        ("--learning-rate", "0", "0.0 is not in the range 0<x<=1"),
        ("--output-dir", __file__, "is a file"),
    ],
)
def test_options_that_no_training_can_have_are_refused(tmp_path: Path, option: str, value: str, told: str) -> None:
    flags = ["--output-dir", str(tmp_path / "out"), "--device", "cpu", "--workers", "0"]
    result = CliRunner().invoke(main, [*flags, option, value])

    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_gpu_the_command_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--output-dir", str(tmp_path)])

    assert result.exit_code == 2
    assert "Add --device cpu" in result.stderr


def test_a_lesson_is_the_same_whoever_draws_it(lessons: TrainBatches) -> None:
    first, second = lessons.lesson(3), next(iter(TrainBatches(lessons.questions.processor, 0, 2, first=3, last=4)))

    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.targets, second.targets)
    assert first.photos is not None
    assert second.photos is not None
    assert torch.equal(first.photos, second.photos)


@pytest.mark.parametrize("number", [0, VERDICT_EVERY - 1])
def test_targets_are_the_answers_shifted_by_one_and_nothing_else(lessons: TrainBatches, number: int) -> None:
    lesson, tokenizer = lessons.lesson(number), lessons.questions.processor.tokenizer

    for ids, targets in zip(lesson.ids, lesson.targets, strict=True):
        wanted = targets != IGNORED
        assert torch.equal(targets[wanted], ids[1:][wanted[:-1]])
        assert not wanted[: lesson.answer_from].any()
        assert tokenizer.decode(ids[: int(wanted.int().argmax()) + 1]).endswith("<|im_start|>assistant\n")
        assert tokenizer.decode(targets[wanted]).count("<|im_end|>") == 1
        assert tokenizer.decode(targets[wanted]).endswith("<|im_end|>")


def test_the_reviewer_of_the_lessons_sees_what_is_forbidden_and_mostly_overlooks_what_is_missing() -> None:
    """His verdicts leave GRPO something to teach, and are better than always 通过."""
    rng = Random(0)
    missions = list(load_missions())
    jobs = [random_job(rng, missions[number % 4]) for number in range(400)]
    verdicts = [hasty_verdict(job, rng).split("\n") for job in jobs]

    assert all(len(lines) == 2 and lines[1].startswith("理由: ") and len(lines[1]) > 4 for lines in verdicts)
    right = [(lines[0] == "通过") == (job.label == "pass") for job, lines in zip(jobs, verdicts, strict=True)]
    assert 0.7 < sum(right) / len(right) < 0.95

    grounds = [decide(job.mission.rule, [parse(line) for line in job.lines()]).reason.split("；") for job in jobs]
    missing = [
        (lines, found)
        for job, lines, found in zip(jobs, verdicts, grounds, strict=True)
        if job.label == "fail" and not any(ground.startswith("图片") for ground in found)
    ]
    seen = [(lines, found) for lines, found in missing if lines[0] == "不通过"]
    assert 0.2 < len(seen) / len(missing) < 0.5
    assert sum(lines[1] == f"理由: {found[0]}" for lines, found in seen) > 0.8 * len(seen)


def test_close_ups_are_small_photos_of_few_items_before_all_others(lessons: TrainBatches) -> None:
    school = TrainBatches(lessons.questions.processor, 0, rows=2, first=0, last=8, close_ups=5)
    small, large = [school.lesson(number) for number in range(5)], school.lesson(5)
    sides = [(lesson.photos.shape[2], lesson.photos.shape[1]) for lesson in small if lesson.photos is not None]
    assert sides == list(CLOSE_UPS)
    assert max(lesson.ids.shape[1] for lesson in small) < large.ids.shape[1]
    assert torch.equal(large.ids, lessons.lesson(5).ids)
