"""Processor and weights of a checkpoint, by transformers and peft. Every error of loading is a CheckpointError.

load_model     weights of the base ── adapter merged by peft, where there is one ── a model in the run's dtype, on CPU
load_weights   config.json says how the weights are stored → the loader for that → a model in the run's dtype, on CPU
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, GenerationConfig
from transformers.utils import logging as transformers_logging

from yanshou.engines import checkpoint
from yanshou.engines.dequantize import apply_scales, read_scale
from yanshou.engines.weight_names import empty_model, name_faults
from yanshou.errors import CheckpointError

DEFAULT = "default"  # of several chat templates
GENERATION = "generation_config.json"

logger = logging.getLogger(__name__)

# Everything that transformers and safetensors are known to raise for a damaged or incomplete folder. The library
# tokenizers raises Exception itself.
LOADING_ERRORS = (
    *(OSError, ValueError, LookupError, RuntimeError, ImportError, AttributeError, TypeError, ArithmeticError),
    *(SafetensorError, StrictDataclassError),
)


def load_processor(folder: Path) -> Any:
    """The processor: tokenizer, chat template and image processor. Raises CheckpointError."""
    with loading(folder, checkpoint.processor_faults):
        processor = AutoProcessor.from_pretrained(folder)
    if not processor.chat_template:
        processor.chat_template = _tokenizer_template(folder, processor.tokenizer.chat_template)
    return processor


def _tokenizer_template(folder: Path, found: str | dict[str, str] | None) -> str | None:
    """The chat template in tokenizer_config.json, where training scripts save it; there may be several by name."""
    if not isinstance(found, dict):
        return found
    if DEFAULT not in found:
        raise CheckpointError(
            f"{folder}: its chat templates are {', '.join(found)}, and none is {DEFAULT}. Save the one to use as "
            "chat_template.jinja."
        )
    return found[DEFAULT]


def load_config(folder: Path) -> Any:
    """The configuration of the model, without its quantization: weights are loaded into the dtype of the run."""
    with loading(folder):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for part in (config, config.text_config):
        for key in checkpoint.QUANTIZATION_KEYS:
            vars(part).pop(key, None)
    return config


def load_stop_tokens(folder: Path) -> Any:
    """What generation_config.json says about them: an id, a list of ids, or None."""
    with loading(folder):
        return GenerationConfig.from_pretrained(folder).eos_token_id if (folder / GENERATION).exists() else None


def load_model(source: checkpoint.Source, dtype: torch.dtype, attention: str) -> Any:
    """The model on the CPU, its adapter merged. Raises CheckpointError."""
    model = load_weights(source.weights, dtype, attention)
    if source.adapter is None:
        return model
    from yanshou.engines import lora  # peft takes a second to import

    with _silent():
        return lora.merge(model, source.adapter)


def load_weights(folder: Path, dtype: torch.dtype, attention: str) -> Any:
    """The model with its weights, on the CPU. Raises CheckpointError, also where some weights are missing."""
    config, scales = load_config(folder), checkpoint.fp8_scales(folder)
    with loading(folder, _all_faults):
        model, report = AutoModelForImageTextToText.from_pretrained(
            folder, config=config, dtype=dtype, attn_implementation=attention, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
    if report["missing_keys"] or report["unexpected_keys"]:
        if fault := next(name_faults(folder, config), None):
            raise CheckpointError(fault)
        assert not report["missing_keys"], report["missing_keys"]
        logger.info("%s: %s are not part of the model", folder, sorted(report["unexpected_keys"])[:3])
    apply_scales(model, scales)
    return model


def weight_faults(source: checkpoint.Source) -> Iterator[str]:
    """What loading would find wrong with the names and shapes of weights and adapter. Loads no whole weights."""
    try:
        config = load_config(source.weights)
        with loading(source.weights):
            faults = list(name_faults(source.weights, config))
        yield from faults
        for scale in checkpoint.fp8_scales(source.weights).values():
            read_scale(scale)
        if source.adapter and not faults:
            from yanshou.engines import lora

            with _silent():
                lora.attach(empty_model(config), source.adapter)
    except CheckpointError as error:
        yield str(error)


def save_merged(source: checkpoint.Source, target: Path) -> None:
    """Writes a folder of whole weights in which the adapter is merged, in the dtype of the base.

    The folder is complete when this returns. Raises CheckpointError, OSError and SafetensorError.
    """
    config = load_config(source.weights)
    model = load_model(source, config.dtype or torch.float32, "eager")
    with _silent():
        model.save_pretrained(target)
    for path in source.processor_files():
        shutil.copy2(path, target)
    checkpoint.inherit_permissions(target)


@contextmanager
def loading(folder: Path, faults: Callable[[Path], Iterator[str]] = checkpoint.faults) -> Iterator[None]:
    """Keeps the libraries silent, and turns all errors of loading into CheckpointError.

    `faults` finds what has become wrong with the folder since it was checked.
    """
    try:
        with _silent():
            yield
    except Exception as error:  # tokenizers, which is written in Rust, raises a plain Exception
        if not isinstance(error, LOADING_ERRORS) and type(error) is not Exception:
            raise
        if fault := next(chain(faults(folder), checkpoint.processor_faults(folder, largest=None)), None):
            raise CheckpointError(fault) from error
        reason = " ".join(str(error).split())[:400]
        raise CheckpointError(
            f"{folder}: does not load: {reason} Compare its .json files with those of the checkpoint that it was "
            "trained from."
        ) from error


def _all_faults(folder: Path) -> Iterator[str]:
    yield from checkpoint.faults(folder)
    yield from name_faults(folder, load_config(folder))


@contextmanager
def _silent() -> Iterator[None]:
    """No progress bars, tables and warnings of transformers and peft. What matters among them becomes an error."""
    bars, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
