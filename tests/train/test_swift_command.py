"""The arguments of `swift`."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from yanshou.errors import UsageError
from yanshou.settings import TrainSettings
from yanshou.train.command import MISSIONS_ENV, OFFLINE, PLUGIN, environment, merge_args, target_regex, train_args

Build = Callable[..., TrainSettings]
CACHE = Path("/o/.swift_cache")
MODEL, TRAIN, VAL = Path("/m/4B"), Path("/d/train.jsonl"), Path("/d/val.jsonl")


def arguments(settings: TrainSettings, *, cpu: bool = False, val: Path | None = VAL, resume: Path | None = None) -> str:
    return " ".join(train_args(settings, MODEL, TRAIN, val, 36, cpu, resume))


def test_the_settings_defaults_become_arguments(settings: Build) -> None:
    line = arguments(settings())
    assert line.startswith("rlhf --rlhf_type grpo --model /m/4B ")
    for part in (
        "--dataset /d/train.jsonl --val_dataset /d/val.jsonl", f"--external_plugins {PLUGIN}",
        "--tuner_type lora --freeze_llm false --freeze_vit true --freeze_aligner true", r"layers\.(32|33|34|35)\.",
        "--lora_rank 8 --lora_alpha 16 --lora_dropout 0.05", "--num_generations 4 --max_completion_length 128",
        "--reward_funcs yanshou_label yanshou_format --reward_weights 1.0 0.2", "--temperature 0.7 --top_p 0.9",
        "--learning_rate 5e-06", "--dynamic_sample true", "--check_model false",
    ):  # fmt: skip
        assert part in line


@pytest.mark.parametrize(
    ("reward", "arguments_of_it"),
    [
        (("grounded=0.3",), "yanshou_label yanshou_format yanshou_grounded --reward_weights 1.0 0.2 0.3 "),
        (("format=0", "grounded=2"), "yanshou_label yanshou_grounded --reward_weights 1.0 2.0 "),
        (("label=0.5",), "yanshou_label yanshou_format --reward_weights 0.5 0.2 "),
    ],
)
def test_a_reward_with_a_weight_is_an_argument(settings: Build, reward: tuple[str, ...], arguments_of_it: str) -> None:
    assert f"--reward_funcs {arguments_of_it}" in arguments(settings(reward=reward))


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (("truth=1",), "there is no reward 'truth'. Give one of label, format, grounded"),
        (("grounded",), "'grounded' is not NAME=WEIGHT, as in grounded=0.3"),
        (("grounded=much",), "'much' is not a weight of grounded. Give a number from 0, as in grounded=0.3"),
        (("grounded=-1",), "'-1' is not a weight"),
        (("grounded=inf",), "'inf' is not a weight"),
        (("label=1", "label=2"), "label has two weights. Give it one"),
        (("label=0", "format=0"), "every weight is 0"),
    ],
)
def test_a_reward_that_makes_no_sense_is_refused(settings: Build, reward: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        settings(reward=reward)


def test_lora_goes_into_the_last_blocks_of_the_language_model_only() -> None:
    pattern = re.compile(target_regex(36, 4))
    assert pattern.fullmatch("model.language_model.layers.35.self_attn.q_proj")
    assert pattern.fullmatch("model.language_model.layers.32.mlp.down_proj")
    for other in ("model.language_model.layers.31.mlp.up_proj", "model.language_model.layers.3.mlp.up_proj",
                  "model.visual.blocks.35.attn.proj", "model.visual.merger.linear_fc1", "lm_head"):  # fmt: skip
        assert not pattern.fullmatch(other)


def test_more_blocks_than_there_are_is_wrong_usage(settings: Build) -> None:
    with pytest.raises(UsageError, match=r"--last-blocks 40: .* has 36 blocks"):
        arguments(settings(last_blocks=40))


def test_full_training_freezes_vision_tower_and_aligner(settings: Build) -> None:
    line = arguments(settings(tuner="full"))
    assert "--tuner_type full --freeze_llm false --freeze_vit true --freeze_aligner true" in line
    assert "target_regex" not in line
    assert "lora" not in line


def test_sft_gets_no_rewards(settings: Build) -> None:
    line = arguments(settings(sft=True))
    assert line.startswith("sft --model ")
    assert "--learning_rate 0.0001" in line
    assert "reward_funcs" not in line


def test_a_resume_adds_one_argument(settings: Build) -> None:
    again = arguments(settings(), resume=Path("/o/swift/checkpoint-50"))
    assert again.replace(" --resume_from_checkpoint /o/swift/checkpoint-50", "") == arguments(settings())


def test_without_a_validation_file_nothing_is_validated(settings: Build) -> None:
    line = arguments(settings(), val=None)
    assert "--eval_strategy no" in line
    assert "--val_dataset" not in line


def test_extra_arguments_come_last_unchanged(settings: Build) -> None:
    assert arguments(settings(extra_args=("--temperature", "1.1", "--warmup_ratio=0.1"))).endswith(
        " --temperature 1.1 --warmup_ratio=0.1"
    )


@pytest.mark.parametrize("name", ["--output_dir", "--output-dir=x", "--output_di", "--external_plugins", "--model"])
def test_reserved_arguments_are_refused(settings: Build, name: str) -> None:
    with pytest.raises(UsageError, match="set by yanshou"):
        arguments(settings(extra_args=(name, "x")))


def test_an_extra_argument_without_dashes_is_wrong_usage(settings: Build) -> None:
    with pytest.raises(UsageError, match="unexpected argument 'extra'"):
        arguments(settings(extra_args=("extra",)))


def test_on_the_cpu_the_trainer_computes_in_float32_and_sees_no_gpu(settings: Build) -> None:
    assert arguments(settings(), cpu=True).endswith("--use_cpu true --torch_dtype float32")
    assert environment({}, cpu=True, cache=CACHE)["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in environment({}, cpu=False, cache=CACHE)


def test_the_trainer_is_offline_and_has_a_cache_of_its_own() -> None:
    given = environment({"PATH": "/bin", "HF_HUB_OFFLINE": "0", "MODELSCOPE_CACHE": "/x"}, cpu=False, cache=CACHE)
    assert given.items() >= {"PATH": "/bin", "MODELSCOPE_CACHE": str(CACHE), **OFFLINE}.items()


def test_the_trainer_learns_where_the_missions_are() -> None:
    given = environment({}, cpu=False, cache=CACHE, mission_files=(Path("/m/我的.toml"),))
    assert json.loads(given[MISSIONS_ENV]) == ["/m/我的.toml"]


def test_a_step_that_is_no_whole_number_of_groups_is_refused(settings: Build) -> None:
    with pytest.raises(ValueError, match="6 answers per step: not a multiple of `generations` 4"):
        settings(batch_size=3, accumulation=2)


def test_the_arguments_of_the_merge() -> None:
    line = " ".join(merge_args(Path("/o/checkpoint-3"), MODEL, Path("/o/.final.tmp")))
    assert line == (
        f"export --model /m/4B --adapters /o/checkpoint-3 --external_plugins {PLUGIN} --merge_lora true "
        "--output_dir /o/.final.tmp --exist_ok true"
    )
