"""An adapter's folder: what cannot be merged is refused before anything is loaded, each with its cure."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.checkpoint_folders import weights

from yanshou.engines.checkpoint.adapter import adapter_faults, base_name, is_adapter, merge_command
from yanshou.errors import CheckpointError

LORA: dict[str, Any] = {  # what peft writes, and peft_version of a later one
    "alpha_pattern": {}, "base_model_name_or_path": "Qwen/Qwen3-VL-4B-Instruct", "bias": "none", "corda_config": None,
    "init_lora_weights": True, "loftq_config": {}, "lora_alpha": 16, "megatron_core": "megatron.core",
    "modules_to_save": None, "peft_type": "LORA", "peft_version": "0.20.0", "qalora_group_size": 16, "r": 8,
    "target_modules": ["q_proj"], "use_dora": False, "use_qalora": False,
}  # fmt: skip
BY_TRAINER = "Merge it with the program that trained it."


def adapter(path: Path, *without: str, files: tuple[str, ...] = (), **settings: Any) -> Path:
    path.mkdir(parents=True)
    content = {"adapter_config.json": json.dumps(LORA | settings), "adapter_model.safetensors": weights("a")}
    for name, text in (content | dict.fromkeys(files, "{}")).items():
        if name not in without:
            (path / name).write_text(text)
    return path


def test_what_trainers_leave_in_the_folder_is_no_fault(tmp_path: Path) -> None:
    left = (
        "args.json",
        "trainer_state.json",
        "optimizer.pt",
        "training_args.bin",
        "value_head.safetensors",
        "README.md",
    )
    made = adapter(tmp_path / "checkpoint-150", files=left)
    assert is_adapter(made)
    assert list(adapter_faults(made)) == []


@pytest.mark.parametrize(
    "name", ["model.safetensors", "model.safetensors.index.json", "model-00001-of-00002.safetensors"]
)
def test_a_folder_with_whole_weights_is_no_adapter(tmp_path: Path, name: str) -> None:
    assert not is_adapter(adapter(tmp_path / "merged", files=(name,)))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"peft_type": "PROMPT_TUNING"}, f"peft_type is 'PROMPT_TUNING', expected 'LORA'. {BY_TRAINER}"),
        ({"peft_type": "ADALORA"}, f"peft_type is 'ADALORA', expected 'LORA'. {BY_TRAINER}"),
        ({"peft_type": None}, f"peft_type is None, expected 'LORA'. {BY_TRAINER}"),  # MLX
        ({"bias": "lora_only"}, f"bias is 'lora_only': it changes biases, too. {BY_TRAINER}"),
        (
            {"init_lora_weights": "pissa_niter_4"},
            "init_lora_weights is 'pissa_niter_4': it belongs to base weights that were changed before the training. "
            + BY_TRAINER,
        ),
        ({"loftq_config": {"loftq_bits": 4}}, f"loftq_config is set, which cannot be merged. {BY_TRAINER}"),
        ({"layer_replication": [[0, 4], [2, 5]]}, f"layer_replication is set, which cannot be merged. {BY_TRAINER}"),
        ({"alora_invocation_tokens": [7]}, f"alora_invocation_tokens is set, which cannot be merged. {BY_TRAINER}"),
        ({"use_later_variant": True}, f"use_later_variant is set, which cannot be merged. {BY_TRAINER}"),
    ],
)
def test_kinds_of_adapters_that_cannot_be_merged_are_refused(
    tmp_path: Path, settings: dict[str, Any], fault: str
) -> None:
    made = adapter(tmp_path / "adapter", **settings)
    assert list(adapter_faults(made)) == [f"{made / 'adapter_config.json'}: {fault}"]


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ((), "adapter_model.safetensors is missing. Copy it."),
        (
            ("adapter_model.bin",),
            "adapter_model.safetensors is missing. adapter_model.bin is a pickle, which is not read. Save it as "
            "adapter_model.safetensors.",
        ),
    ],
)
def test_an_adapter_without_safetensors_is_refused(tmp_path: Path, files: tuple[str, ...], fault: str) -> None:
    made = adapter(tmp_path / "adapter", "adapter_model.safetensors", files=files)
    assert list(adapter_faults(made)) == [f"{made}: {fault}"]


@pytest.mark.parametrize("name", ["vit.safetensors", "non_lora_state_dict.bin"])
def test_weights_that_were_trained_beside_the_adapter_are_not_left_out_in_silence(tmp_path: Path, name: str) -> None:
    made = adapter(tmp_path / "adapter", files=(name,))
    assert list(adapter_faults(made)) == [
        f"{made}: {name} holds trained weights beside the adapter, which would not be loaded. {BY_TRAINER}"
    ]


def test_tensors_that_zero_3_left_empty_are_named(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    made = adapter(tmp_path / "adapter")
    save_file({"a": torch.zeros(0), "b": torch.zeros(4, 2)}, made / "adapter_model.safetensors")
    (fault,) = adapter_faults(made)
    assert fault.startswith(
        f"{made / 'adapter_model.safetensors'}: 1 tensors are empty, first a: DeepSpeed ZeRO-3 saved"
    )


@pytest.mark.parametrize("absolute", [True, False])
def test_the_base_is_the_folder_that_the_adapter_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "4B").mkdir(parents=True)
    named = str(tmp_path / "models" / "4B") if absolute else "models/4B"
    assert base_name(adapter(tmp_path / "adapter", base_model_name_or_path=named)) == named


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (
            "Qwen/Qwen3-VL-4B-Instruct",
            "an adapter of Qwen/Qwen3-VL-4B-Instruct, which is no folder on this machine. Give",
        ),
        (
            "/models/4B",
            "an adapter of /models/4B, which is no folder on this machine. Give the folder of that checkpoint ",
        ),
        (
            None,
            "an adapter of a checkpoint that it does not name. Give the folder of that checkpoint with --base-checkpo",
        ),
        ("", "an adapter of a checkpoint that it does not name. Give"),
        (7, "an adapter of a checkpoint that it does not name. Give"),
    ],
)
def test_a_base_that_is_no_folder_is_asked_for_and_never_downloaded(tmp_path: Path, named: object, words: str) -> None:
    made = adapter(tmp_path / "adapter", base_model_name_or_path=named)
    with pytest.raises(CheckpointError) as caught:
        base_name(made)
    assert str(caught.value).startswith(f"{made} is {words}")


def test_the_merge_command_names_the_base_where_ms_swift_did_not_save_it(tmp_path: Path) -> None:
    swift = adapter(tmp_path / "my run" / "checkpoint-7", files=("args.json",))
    command = f"swift export --adapters '{swift}' --merge_lora true --output_dir '{swift}-merged'"
    assert merge_command(swift) == command
    other = adapter(tmp_path / "unsloth")
    assert merge_command(other).endswith("/unsloth-merged --model Qwen/Qwen3-VL-4B-Instruct")
    assert merge_command(adapter(tmp_path / "bare", base_model_name_or_path=None)).endswith("-merged --model BASE")
