"""Training the demo checkpoint on a CPU: a few steps, a resume to the same weights, and a folder that loads."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from transformers import Qwen3VLForConditionalGeneration

from yanshou.missions import load_missions
from yanshou.world.train import STATE, Plan, Trainer, main
from yanshou.world.training_batches import VERDICT_SHARE

FIRST_VERDICTS = round(1 / VERDICT_SHARE)  # steps until the first verdicts
STEPS = FIRST_VERDICTS + 1  # the last step but one trains on verdicts, without gradients for the vision tower

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
    verdict_share=VERDICT_SHARE,
    compile=False,
)


@pytest.fixture(scope="module", autouse=True)
def _short_answers() -> Iterator[None]:
    """An untrained model never ends its line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yanshou.world.evaluation.LINE_TOKENS", 2)
        yield


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


def test_interrupted_training_reaches_the_weights_of_uninterrupted_training(
    trained: Path, new_tiny: Callable[[str], Path]
) -> None:
    folder = new_tiny("interrupted")
    plan = replace(PLAN, output_dir=folder)
    Trainer(replace(plan, pause_after=0)).run()  # one step
    for steps in (FIRST_VERDICTS, STEPS):  # up to and including the verdicts, then the rest
        trainer = Trainer(plan)
        _train_to(trainer, steps)

    resumed, uninterrupted = _state(folder), _state(trained)
    assert resumed.keys() == uninterrupted.keys()
    for name, tensor in uninterrupted.items():
        torch.testing.assert_close(resumed[name], tensor, atol=1e-6, rtol=1e-4, msg=name)


def _train_to(trainer: Trainer, steps: int) -> None:
    """Trains as `run` does, but pauses at a step instead of a time."""
    batches = trainer._batches()
    while trainer.step < steps:
        trainer._train_step(next(batches))
        trainer.step += 1
    trainer._evaluate_and_save()


def test_training_changes_every_weight(trained: Path, tiny: Path) -> None:
    before = Qwen3VLForConditionalGeneration.from_pretrained(tiny, dtype=torch.float32)
    after = _state(trained)

    unchanged = [name for name, weight in before.named_parameters() if torch.equal(weight, after[f"weight.{name}"])]
    assert unchanged == []


def test_the_loss_falls_on_a_repeated_batch(new_tiny: Callable[[str], Path]) -> None:
    trainer = Trainer(replace(PLAN, output_dir=new_tiny("repeated"), steps=1000))
    batch = next(trainer._batches())
    losses = [float(trainer._train_step(batch)) for _ in range(8)]

    assert losses[-1] < losses[0] - 1


def test_the_result_loads_in_bf16_with_the_trained_weights(trained: Path) -> None:
    model, loading = Qwen3VLForConditionalGeneration.from_pretrained(trained, dtype="auto", output_loading_info=True)
    state = _state(trained)

    assert model.dtype == torch.bfloat16
    assert not any(loading.values()), loading
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, state[f"weight.{name}"].bfloat16()), name


def test_figures_are_written_to_training_jsonl(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "training.jsonl").read_text(encoding="utf-8").splitlines()]

    assert [line["step"] for line in lines] == [STEPS]
    assert lines[0].keys() == {"step", "seconds", "exam_photos", "lines_right", "verdicts_right"}
    assert lines[0]["exam_photos"] == 2 * len(list(load_missions()))


def test_the_full_checkpoint_fits_the_repository(tmp_path: Path) -> None:
    """Shards have at most 15 MB each and 24 MB in total, and the untrained weights are gone."""
    trainer = Trainer(replace(PLAN, output_dir=tmp_path))
    trainer._save_checkpoint()

    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.safetensors")}
    assert sorted(sizes) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert max(sizes.values()) <= 15e6
    assert sum(sizes.values()) <= 24e6
    assert not (tmp_path / "draft").exists()
    Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)


def test_the_command_trains_and_resumes(new_tiny: Callable[[str], Path]) -> None:
    folder = new_tiny("command")
    flags = ["--output-dir", str(folder), "--device", "cpu", "--workers", "0", "--batch-size", "1", "--exam", "1"]
    results = [CliRunner().invoke(main, [*flags, "--steps", str(steps)]) for steps in (1, 2)]

    assert [result.exit_code for result in results] == [0, 0]
    assert [json.loads(result.stdout.splitlines()[-1])["step"] for result in results] == [1, 2]

    figures = (folder / "training.jsonl").read_bytes()
    again = CliRunner().invoke(main, [*flags, "--steps", "2"])
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr.endswith("finished at step 2. Give more --steps or --minutes to continue training.\n")
    assert (folder / "training.jsonl").read_bytes() == figures


def test_training_on_verdicts_alone_resumes_and_a_damaged_state_is_named(new_tiny: Callable[[str], Path]) -> None:
    """The vision tower gets no gradient, so its optimizer has no state."""
    plan = replace(PLAN, output_dir=new_tiny("verdicts"), steps=1, verdict_share=1.0)
    trainer = Trainer(plan)
    trainer._train_step(next(trainer._batches()))
    trainer._save_state()
    state = Trainer(plan).optimizer.state_dict()["state"].values()

    assert not any(name.startswith("step.model.visual.") for name in _state(plan.output_dir))
    assert {int(one["step"]) for one in state} == {1}

    (plan.output_dir / STATE).write_bytes(b"torn")
    result = CliRunner().invoke(main, ["--output-dir", str(plan.output_dir), "--device", "cpu", "--workers", "0"])
    assert result.exit_code == 1
    assert f"Error: {plan.output_dir / STATE}: not a whole safetensors file (" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--minutes", "0", "0.0 is not in the range x>0"),
        ("--minutes", "nan", "nan is not a number"),
        ("--pause-after", "nan", "nan is not a number"),
        ("--learning-rate", "nan", "nan is not a number"),
        ("--learning-rate", "0", "0.0 is not in the range 0<x<=1"),
        ("--output-dir", __file__, "is a file"),
    ],
)
def test_impossible_option_values_are_refused(tmp_path: Path, option: str, value: str, message: str) -> None:
    flags = ["--output-dir", str(tmp_path / "out"), "--device", "cpu", "--workers", "0"]
    result = CliRunner().invoke(main, [*flags, option, value])

    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_gpu_the_command_names_the_cpu_option(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--output-dir", str(tmp_path)])

    assert result.exit_code == 2
    assert "Add --device cpu" in result.stderr
