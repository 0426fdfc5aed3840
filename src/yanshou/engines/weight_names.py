"""The weights that config.json asks for, compared with the headers of the weight files. Nothing is loaded.

A name that is missing or has another shape keeps the checkpoint from loading. So does a name of the model that its
config has no place for, such as a 37th block: transformers would leave it out. Other names are left out and reported.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from yanshou.engines.checkpoint import TensorHeader, read_headers, weight_files

OF_THE_MODEL = ("model.", "lm_head.")
BASE_PREFIX = "model."  # of a folder that was saved without its output matrix
EXPERTS = ".mlp.experts."
OUTPUT = "lm_head.weight"
LEFT_OUT = [
    r"rotary_emb\.inv_freq",  # computed; old saves hold it
    r"_scale(_inv)?$", r"_zero_point$",  # of weights in 8 bits, which have been checked, and of activations
]  # fmt: skip


def empty_model(config: Any, **options: Any) -> Any:
    """The model of a configuration, without memory for its weights. `options`: dtype, attn_implementation."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config, **options)


def name_faults(folder: Path, config: Any) -> Iterator[str]:
    """What is missing, has another shape, or has no place. Raises CheckpointError for files that cannot be read."""
    model = empty_model(config)
    found = {full_name(name): header for name, header in read_headers(weight_files(folder)).items()}
    wanted = {name: (*tensor.shape,) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings and OUTPUT not in found:
        del wanted[OUTPUT]
    ignored = re.compile("|".join(LEFT_OUT + (model._keys_to_ignore_on_load_unexpected or [])))
    missing = sorted(wanted.keys() - found.keys())
    strange = sorted(name for name in found.keys() - wanted.keys() if not ignored.search(name))
    if missing == [OUTPUT]:
        yield (
            f"{folder}: {OUTPUT} is missing, and config.json does not tie it to the embeddings. If the base "
            'checkpoint ties them, set "tie_word_embeddings": true; otherwise copy the weights again.'
        )
    elif missing and strange:
        yield (
            f"{folder}: {len(missing)} weights are missing, first {missing[0]}, and {len(strange)} of other names are "
            f"there, first {strange[0]}: another program saved them, or config.json belongs to another model. Save the "
            "checkpoint with save_pretrained, or copy config.json and weights from one save."
        )
    elif missing:
        yield f"{folder}: {len(missing)} weights are missing, first {missing[0]}. Copy it again."
    elif own := [name for name in strange if name.startswith(OF_THE_MODEL)]:
        yield (
            f"{folder}: config.json has no place for {len(own)} weights, first {own[0]}: it describes another model. "
            "Copy config.json and weights from one save."
        )
    yield from _shape_faults(folder, found, wanted)


def _shape_faults(folder: Path, found: dict[str, TensorHeader], wanted: dict[str, tuple[int, ...]]) -> Iterator[str]:
    other = [name for name, shape in wanted.items() if name in found and not _fits(name, found[name].shape, shape)]
    if other:
        name = other[0]
        yield (
            f"{folder}: {len(other)} weights have another shape than config.json says, first {name}: "
            f"{[*found[name].shape]}, not {[*wanted[name]]}. Copy config.json and weights from one save."
        )


def _fits(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Experts may be stored transposed."""
    return found == wanted or (EXPERTS in name and found == (wanted[0], *wanted[:0:-1]))


def full_name(name: str) -> str:
    """The model's name of a weight, which some folders store without its prefix."""
    known = name.startswith(("language_model.", "visual."))
    return BASE_PREFIX + name if known else name
