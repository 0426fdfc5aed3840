"""A LoRA adapter, merged into a model by peft. Whatever of the adapter would not take effect is an error.

peft itself only warns about tensors that it does not find or does not need, and then answers as the base would.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file

from yanshou.engines.checkpoint.adapter import BY_TRAINER, WEIGHTS
from yanshou.engines.checkpoint.reading import reading_weights
from yanshou.errors import CheckpointError

NAME = "default"  # of the adapter, in the names of peft's modules
# What peft is known to raise for an adapter_config.json of odd types, patterns and names.
ADAPTER_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ImportError, re.error)
SIZE_MISMATCH = re.compile(
    r"size mismatch for (\S+): .*?shape torch\.Size\(\[([\d, ]*)\]\).*?torch\.Size\(\[([\d, ]*)\]\)"
)


def merge(model: Any, adapter: Path) -> Any:
    """The model with the adapter added to its weights, in their dtype. Raises CheckpointError."""
    wrapped = attach(model, adapter)
    try:
        merged = wrapped.merge_and_unload()
    except ADAPTER_ERRORS as error:
        raise CheckpointError(f"{adapter}: cannot be merged: {_reason(error)}. {BY_TRAINER}") from error
    if merged.dtype == torch.float16 and not all(bool(weight.isfinite().all()) for weight in merged.parameters()):
        raise CheckpointError(f"{adapter}: merged weights are too large for float16. Use --dtype bfloat16 or float32.")
    return merged


def attach(model: Any, adapter: Path) -> Any:
    """The model with the adapter beside its weights, which may be on the meta device. Raises CheckpointError."""
    empty = next(model.parameters()).is_meta
    try:
        # On a model with weights this stays False: it would round the adapter to their dtype.
        wrapped = PeftModel(model, LoraConfig.from_pretrained(str(adapter)), NAME, low_cpu_mem_usage=empty)
        with reading_weights(adapter / WEIGHTS):
            result = wrapped.load_adapter(str(adapter), NAME, torch_device="cpu", low_cpu_mem_usage=empty)
    except ADAPTER_ERRORS as error:
        raise CheckpointError(f"{adapter}: {_size_mismatch(error) or f'{_reason(error)}. {BY_TRAINER}'}") from error
    weights = _load(adapter)
    if fault := next(_faults(wrapped, set(weights), set(result.unexpected_keys)), None):
        raise CheckpointError(f"{adapter}: {fault}")
    for name, weight in weights.items():
        if not bool(weight.float().isfinite().all()):  # not defined for weights in FP8
            raise CheckpointError(
                f"{adapter}: {name} holds numbers that are not finite: the training failed. Take an earlier checkpoint."
            )
    return wrapped


def changes_nothing(adapter: Path) -> bool:
    """Whether an adapter leaves its base as it is, as before the first step of its training."""
    weights = _load(adapter)
    return not any(bool(weight.any()) for name, weight in weights.items() if "lora_A" not in name)


def _load(adapter: Path) -> dict[str, torch.Tensor]:
    with reading_weights(adapter / WEIGHTS):
        return load_file(adapter / WEIGHTS)


def _faults(wrapped: Any, saved: set[str], unexpected: set[str]) -> Iterator[str]:
    tensors = {_saved(name) for name in wrapped.state_dict() if f".{NAME}" in name}
    lacking = sorted(tensors - saved)
    if unexpected:
        example = f" (names there are like {lacking[0]})" if lacking else ""
        yield (
            f"{len(unexpected)} of its {len(saved)} tensors have no place in its base, first "
            f"{min(unexpected).replace(f'.{NAME}', '', 1)}{example}. Give the base it was trained on with "
            "--base-checkpoint, or merge it with the program that trained it."
        )
    if lacking:
        yield f"{len(lacking)} of {len(tensors)} tensors are missing, first {lacking[0]}. Copy the adapter again."


def _size_mismatch(error: Exception) -> str:
    if sizes := SIZE_MISMATCH.search(str(error)):
        name, found, wanted = sizes.groups()
        return (
            f"{_saved(name)} is [{found}], and its base and config want [{wanted}]: the adapter belongs to another "
            "base, or its config to another adapter. Give its own base with --base-checkpoint."
        )
    return ""


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):  # names nothing but the key
        return f"{error} is missing"
    return " ".join(str(error).split())[:300].rstrip(".")


def _saved(name: str) -> str:
    """The name under which peft saves a tensor of the adapter."""
    saved = name.replace(f".modules_to_save.{NAME}", "").replace(f".{NAME}", "")
    return re.sub(r"(lora_magnitude_vector)\.weight$", r"\1", saved)
