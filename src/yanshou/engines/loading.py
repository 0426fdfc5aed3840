"""Processor and weights of a checkpoint folder, by transformers. Every error of loading is a CheckpointError.

load_weights   config.json says how the weights are stored → the loader for that → a model in the run's dtype, on CPU
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging as transformers_logging

from yanshou.engines import checkpoint
from yanshou.engines.dequantize import apply_scales
from yanshou.errors import CheckpointError

# Everything that transformers and safetensors are known to raise for a damaged or incomplete folder.
LOADING_ERRORS = (
    *(OSError, ValueError, LookupError, RuntimeError, ImportError, AttributeError, TypeError, ArithmeticError),
    *(SafetensorError, StrictDataclassError),
)


def load_processor(folder: Path) -> Any:
    """The processor: tokenizer, chat template and image processor."""
    with loading(folder, checkpoint.processor_faults):
        return AutoProcessor.from_pretrained(folder)


def load_config(folder: Path) -> Any:
    """The configuration of the model, without its quantization: weights are loaded into the dtype of the run."""
    with loading(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for part in (config, config.text_config):
        for key in checkpoint.QUANTIZATION_KEYS:
            vars(part).pop(key, None)
    return config


def load_weights(folder: Path, dtype: torch.dtype, attention: str) -> Any:
    """The model with its weights, on the CPU. Raises CheckpointError, also where some weights are missing."""
    config, scales = load_config(folder), checkpoint.fp8_scales(folder)
    with loading(folder):
        model, report = AutoModelForImageTextToText.from_pretrained(
            folder, config=config, dtype=dtype, attn_implementation=attention, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(f"{folder}: {len(missing)} weights are missing, first {missing[0]}. Copy it again.")
    apply_scales(model, scales)
    return model


@contextmanager
def loading(folder: Path, faults: Callable[[Path], Iterator[str]] = checkpoint.faults) -> Iterator[None]:
    """Hides transformers' progress bars, and turns all errors of loading into CheckpointError.

    `faults` finds what has become wrong with the folder since it was checked.
    """
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    except LOADING_ERRORS as error:
        for fault in faults(folder):
            raise CheckpointError(fault) from error
        reason = " ".join(str(error).split())[:400]
        raise CheckpointError(f"{folder}: does not load: {reason} Copy the checkpoint again.") from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
