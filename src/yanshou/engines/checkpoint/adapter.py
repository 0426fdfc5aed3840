"""A LoRA adapter's folder before it is loaded: its base checkpoint, and what keeps it from being merged.

checkpoint-150/ adapter_config.json · adapter_model.safetensors · … what the trainer left: args.json, optimizer.pt
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yanshou.engines.checkpoint.reading import read_json
from yanshou.engines.checkpoint.weight_files import INDEX, WHOLE, read_headers
from yanshou.errors import CheckpointError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
VALUE_HEAD = "value_head.safetensors"  # only reinforcement learning reads it
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
BY_TRAINER = "Merge it with the program that trained it."
TIED_MODULES = ("embed_tokens", "lm_head")

# Settings of an adapter that peft takes into account when it merges. Any other that is set changes the base weights, or
# holds only for a part of the prompt.
MERGED_SETTINGS = frozenset(
    [
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_bias",
        "lora_dropout",
        "megatron_core",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "rank_pattern",
        "revision",
        "target_modules",
        "target_parameters",
        "task_type",
        "trainable_token_indices",
        "use_dora",
        "use_rslora",
    ]
)
INITIAL_WEIGHTS = (True, False, "gaussian", "eva", "orthogonal")  # others (pissa, olora …) also change the base


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter, and no whole weights."""
    names = {path.name for path in folder.iterdir()}
    return CONFIG in names and not names & {WHOLE, INDEX} and not any(map(SHARD.fullmatch, names))


def base_name(folder: Path) -> str:
    """The base checkpoint's folder, as the adapter names it. Raises CheckpointError where that is no folder here."""
    name = named_base(folder)
    if name and Path(name).is_dir():
        return name
    named = f"{name}, which is no folder on this machine" if name else "a checkpoint that it does not name"
    raise CheckpointError(
        f"{folder} is an adapter of {named}. Give the folder of that checkpoint with --base-checkpoint, or merge the "
        f"adapter: {merge_command(folder)}"
    )


def named_base(folder: Path) -> str:
    """The base checkpoint that the adapter names, or ""."""
    name = read_json(folder / CONFIG).get("base_model_name_or_path")
    return name if isinstance(name, str) else ""


def merge_command(folder: Path) -> str:
    """The command by which ms-swift merges the adapter. Its own adapters name their base in args.json."""
    merged = folder.with_name(f"{folder.name}-merged")
    command = ["swift", "export", "--adapters", str(folder), "--merge_lora", "true", "--output_dir", str(merged)]
    if not (folder / "args.json").exists():
        command += ["--model", named_base(folder) or "BASE"]
    return shlex.join(command)


def adapter_faults(folder: Path) -> Iterator[str]:
    """What keeps an adapter from being merged, as far as its own folder shows."""
    config = read_json(folder / CONFIG)
    yield from _config_faults(folder, config)
    if not (folder / WEIGHTS).exists() and not (folder / WEIGHTS).is_symlink():
        pickled = (folder / "adapter_model.bin").exists()
        advice = f"adapter_model.bin is a pickle, which is not read. Save it as {WEIGHTS}" if pickled else "Copy it"
        yield f"{folder}: {WEIGHTS} is missing. {advice}."
        return
    if empty := [name for name, tensor in read_headers([folder / WEIGHTS]).items() if 0 in tensor.shape]:
        yield (
            f"{folder / WEIGHTS}: {len(empty)} tensors are empty, first {empty[0]}: DeepSpeed ZeRO-3 saved parts of "
            "the adapter only. Save it again with stage3_gather_16bit_weights_on_model_save."
        )
    others = {path.name for pattern in ("*.safetensors", "non_lora*") for path in folder.glob(pattern)}
    if others := others - {WEIGHTS, VALUE_HEAD}:
        yield (
            f"{folder}: {min(others)} holds trained weights beside the adapter, which would not be loaded. {BY_TRAINER}"
        )


def _config_faults(folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    path = folder / CONFIG
    if (kind := config.get("peft_type")) != "LORA":
        yield f"{path}: peft_type is {kind!r}, expected 'LORA'. {BY_TRAINER}"
        return
    if (bias := config.get("bias", "none")) != "none":
        yield f"{path}: bias is {bias!r}: it changes biases, too. {BY_TRAINER}"
    if (initial := config.get("init_lora_weights", True)) not in INITIAL_WEIGHTS:
        yield (
            f"{path}: init_lora_weights is {initial!r}: it belongs to base weights that were changed before the "
            f"training. {BY_TRAINER}"
        )
    if odd := sorted(key for key, value in config.items() if value and key not in MERGED_SETTINGS):
        yield f"{path}: {odd[0]} is set, which cannot be merged. {BY_TRAINER}"


def tied_fault(folder: Path) -> Iterator[str]:
    """The fault of an adapter that changes one of two tied matrices, where the base checkpoint ties them."""
    for name in read_headers([folder / WEIGHTS]):
        if any(f".{module}." in name for module in TIED_MODULES):
            yield (
                f"{folder}: it changes {name}, but its base has one matrix for the embeddings and the output. "
                f"{BY_TRAINER}"
            )
            return
