"""A checkpoint's model in FP8 on its device. Neither host nor device ever holds a second copy of the weights.

whole weights   config.json ─► an empty model; each tensor: file ─► device ─► FP8, or 16 bits where it stays so
an adapter      merged in 16 bits on the CPU, as without FP8; each layer: CPU ─► device ─► FP8

Stored FP8 with one scale per output channel, or one alone, is used as it is. Blocks become 16 bits, and then FP8 per
output channel. What stays in 16 bits is, bit for bit, what `engines/loading.py` loads.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import GenerationConfig

from yanshou.engines.checkpoint import Source, fp8_scales, read_headers, weight_files
from yanshou.engines.checkpoint.reading import reading_weights
from yanshou.engines.continuous.fp8.layers import fp8_layers, replace_layer
from yanshou.engines.continuous.fp8.linear import Fp8Linear
from yanshou.engines.continuous.ops import quantize_rows
from yanshou.engines.dequantize import check_numbers, dequantized, read_scale
from yanshou.engines.loading import GENERATION, load_config, load_model, load_stop_tokens, loading
from yanshou.engines.weight_names import empty_model, full_name, name_faults
from yanshou.errors import CheckpointError


@torch.no_grad()
def load_fp8_model(source: Source, dtype: torch.dtype, attention: str, device: torch.device) -> Any:
    """The model on the device. Raises CheckpointError, and what the device raises where memory runs out."""
    # Triton kernels, which quantize, run on the current device.
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        if source.adapter:
            return _move(load_model(source, dtype, attention), device)
        return _stream(source.weights, dtype, attention, device)


def _move(model: Any, device: torch.device) -> Any:
    """A model on the CPU → the device, one linear layer after another."""
    for name in fp8_layers(model):
        replace_layer(model, name, Fp8Linear.of(model.get_submodule(name).to(device)))
    return model.to(device)


def _stream(folder: Path, dtype: torch.dtype, attention: str, device: torch.device) -> Any:
    """The model of a folder of whole weights, read tensor by tensor."""
    model, stored = _empty(folder, dtype, attention), StoredWeights(folder, dtype, device)
    in_fp8 = set(fp8_layers(model))
    for name, module in list(model.named_modules()):
        if name in in_fp8:
            replace_layer(model, name, stored.fp8_linear(name, module))
        elif _is_computed(module):
            model.set_submodule(name, _computed(module).to(device))
        else:
            stored.fill(name, module)
    with loading(folder):
        model.tie_weights(missing_keys=_missing(model), recompute_mapping=False)
    assert not _missing(model)
    return model.eval()


def _missing(model: Any) -> set[str]:
    """The names of the tensors that no file has filled: a head that is tied to the embeddings."""
    return {name for name, tensor in model.state_dict().items() if tensor.is_meta}


def _empty(folder: Path, dtype: torch.dtype, attention: str) -> Any:
    """The model without memory for its weights. Raises CheckpointError where the folder has not exactly its weights."""
    config = load_config(folder)
    with loading(folder):
        if fault := next(name_faults(folder, config), None):
            raise CheckpointError(fault)
        model = empty_model(config, dtype=dtype, attn_implementation=attention)
    if (folder / GENERATION).exists():
        model.generation_config = GenerationConfig(eos_token_id=load_stop_tokens(folder))
    return model


def _is_computed(module: nn.Module) -> bool:
    """Whether it has buffers that no file holds, such as inv_freq: torch says so only by leaving them out here."""
    return any(name not in module.state_dict() for name, _ in module.named_buffers(recurse=False))


def _computed(module: Any) -> Any:
    """The module, computed on the CPU, as transformers does when it loads a model."""
    assert not list(module.parameters())
    return type(module)(module.config)


class StoredWeights:
    """The tensors of a folder's weight files, by their names in the model, read one by one onto a device.

    Each file is opened for each tensor: so the pages of the others do not count as memory of this process.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        headers = read_headers(weight_files(folder))
        self._stored = {full_name(name): (name, header.file) for name, header in headers.items()}
        self._scales = {full_name(name): scale for name, scale in fp8_scales(folder).items()}

    def fill(self, name: str, module: nn.Module) -> None:
        """Gives a module its own weights, without those of the modules in it."""
        for own, _ in list(module.named_parameters(recurse=False)):
            if (full := f"{name}.{own}") in self._stored:
                setattr(module, own, nn.Parameter(self.read(full), requires_grad=False))

    def fp8_linear(self, name: str, linear: nn.Linear) -> Fp8Linear:
        """A linear layer in FP8. `linear`, which the caller still holds, stays empty: nothing keeps its 16 bits."""
        weight = f"{name}.weight"
        bias = None if linear.bias is None else self.read(f"{name}.bias")
        scale = self._scales.get(weight)
        if scale is None or scale.block:
            rows = quantize_rows(self.read(weight))
            return Fp8Linear(rows.values, rows.scales, bias, self.dtype)
        values = self._read_stored(weight)
        scales = read_scale(scale).to(self.device).reshape(-1, 1).expand(len(values), 1).contiguous()
        return Fp8Linear(values, scales, bias, self.dtype)

    def read(self, name: str) -> Tensor:
        """A tensor in the dtype of the run; FP8 values are multiplied by their scales."""
        tensor = self._read_stored(name)
        if scale := self._scales.get(name):
            tensor = dequantized(tensor, read_scale(scale).to(self.device), scale.block)
        return tensor.to(self.dtype)

    def _read_stored(self, name: str) -> Tensor:
        stored, file = self._stored[name]
        with reading_weights(file), safe_open(file, "pt") as opened:
            tensor: Tensor = opened.get_tensor(stored)
        tensor = tensor.to(self.device)
        if scale := self._scales.get(name):
            check_numbers(tensor, stored, scale)
        return tensor
