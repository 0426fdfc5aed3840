"""The words behind `swift`."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from yanshou.errors import UsageError
from yanshou.settings import TrainSettings
from yanshou.train.command import OFFLINE, PLUGIN, environment, merge_words, target_regex, train_words

Build = Callable[..., TrainSettings]
MODEL, TRAIN, VAL = Path("/m/4B"), Path("/d/train.jsonl"), Path("/d/val.jsonl")


def words(settings: TrainSettings, *, cpu: bool = False, val: Path | None = VAL, resume: Path | None = None) -> str:
    return " ".join(train_words(settings, MODEL, TRAIN, val, 36, cpu, resume))


def test_the_facts_are_the_start_values(settings: Build) -> None:
    line = words(settings())
    assert line.startswith("rlhf --rlhf_type grpo --model /m/4B ")
    for part in (
        "--dataset /d/train.jsonl --val_dataset /d/val.jsonl", f"--external_plugins {PLUGIN}",
        "--tuner_type lora --freeze_llm false --freeze_vit true --freeze_aligner true", r"layers\.(32|33|34|35)\.",
        "--lora_rank 8 --lora_alpha 16 --lora_dropout 0.05", "--num_generations 4 --max_completion_length 128",
        "--reward_funcs yanshou_label yanshou_format --reward_weights 1.0 0.2", "--temperature 0.7 --top_p 0.9",
        "--learning_rate 5e-06", "--dynamic_sample true", "--check_model false",
    ):  # fmt: skip
        assert part in line


def test_lora_goes_into_the_last_blocks_of_the_language_model_only() -> None:
    pattern = re.compile(target_regex(36, 4))
    assert pattern.fullmatch("model.language_model.layers.35.self_attn.q_proj")
    assert pattern.fullmatch("model.language_model.layers.32.mlp.down_proj")
    for other in ("model.language_model.layers.31.mlp.up_proj", "model.language_model.layers.3.mlp.up_proj",
                  "model.visual.blocks.35.attn.proj", "model.visual.merger.linear_fc1", "lm_head"):  # fmt: skip
        assert not pattern.fullmatch(other)


def test_more_blocks_than_there_are_is_wrong_usage(settings: Build) -> None:
    with pytest.raises(UsageError, match=r"--last-blocks 40: .* has 36 blocks"):
        words(settings(last_blocks=40))


def test_full_training_freezes_vision_tower_and_aligner(settings: Build) -> None:
    line = words(settings(tuner="full"))
    assert "--tuner_type full --freeze_llm false --freeze_vit true --freeze_aligner true" in line
    assert "target_regex" not in line
    assert "lora" not in line


def test_sft_is_told_nothing_of_rewards(settings: Build) -> None:
    line = words(settings(sft=True))
    assert line.startswith("sft --model ")
    assert "--learning_rate 0.0001" in line
    assert "reward_funcs" not in line


def test_a_resume_differs_in_one_argument(settings: Build) -> None:
    again = words(settings(), resume=Path("/o/swift/checkpoint-50"))
    assert again.replace(" --resume_from_checkpoint /o/swift/checkpoint-50", "") == words(settings())


def test_without_a_validation_file_nothing_is_validated(settings: Build) -> None:
    line = words(settings(), val=None)
    assert "--eval_strategy no" in line
    assert "--val_dataset" not in line


def test_what_stands_behind_the_dashes_comes_last_as_it_is(settings: Build) -> None:
    assert words(settings(extra_args=("--temperature", "1.1", "--warmup_ratio=0.1"))).endswith(
        " --temperature 1.1 --warmup_ratio=0.1"
    )


@pytest.mark.parametrize("word", ["--output_dir", "--output-dir=x", "--external_plugins", "--model"])
def test_the_launchers_own_arguments_are_refused_behind_the_dashes(settings: Build, word: str) -> None:
    with pytest.raises(UsageError, match="set by yanshou"):
        words(settings(extra_args=(word, "x")))


def test_a_stray_word_is_wrong_usage(settings: Build) -> None:
    with pytest.raises(UsageError, match="unexpected argument 'extra'"):
        words(settings(extra_args=("extra",)))


def test_on_the_cpu_the_trainer_computes_in_float32_and_sees_no_gpu(settings: Build) -> None:
    assert words(settings(), cpu=True).endswith("--use_cpu true --torch_dtype float32")
    assert environment({}, cpu=True)["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in environment({}, cpu=False)


def test_no_hub_is_asked() -> None:
    assert (
        environment({"PATH": "/bin", "HF_HUB_OFFLINE": "0"}, cpu=False).items() >= {"PATH": "/bin", **OFFLINE}.items()
    )


def test_answers_that_make_no_whole_groups_are_refused(settings: Build) -> None:
    with pytest.raises(ValueError, match="6 answers a step: no multiple of --generations 4"):
        settings(batch_size=3, accumulation=2)


def test_the_merge() -> None:
    line = " ".join(merge_words(Path("/o/checkpoint-3"), Path("/o/.final.tmp")))
    assert line == "export --adapters /o/checkpoint-3 --merge_lora true --output_dir /o/.final.tmp --exist_ok true"
