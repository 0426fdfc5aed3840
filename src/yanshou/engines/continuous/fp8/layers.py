"""Which linear layers of a checkpoint become FP8: those of the language layers and of the vision tower's blocks.

Embeddings, the head, the patch embedding and the mergers stay in 16 bits.
"""

from collections.abc import Iterator
from typing import Any, cast

from torch import nn

from yanshou.engines.continuous.fp8.linear import Fp8Linear
from yanshou.engines.device import give_back_freed_memory

TEXT = (  # of a language layer
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)  # fmt: skip
VISION = ("attn.qkv", "attn.proj", "mlp.linear_fc1", "mlp.linear_fc2")  # of a block of the vision tower


def fp8_layers(model: Any) -> Iterator[str]:
    """The name of each layer that becomes FP8. `model` is the whole Qwen3-VL model, which may be on the meta device."""
    for index in range(len(model.model.visual.blocks)):
        yield from (f"model.visual.blocks.{index}.{name}" for name in VISION)
    for index in range(len(model.model.language_model.layers)):
        yield from (f"model.language_model.layers.{index}.{name}" for name in TEXT)


def quantize_(model: nn.Module) -> None:
    """Replaces the layers of a loaded model, one by one, on the device where it is."""
    for name in list(fp8_layers(model)):  # no name for the old layer: it would keep its memory
        replace_layer(model, name, Fp8Linear.of(cast(nn.Linear, model.get_submodule(name))))


def replace_layer(model: nn.Module, name: str, layer: Fp8Linear) -> None:
    """Puts an FP8 layer in the place of the layer of that name, whose memory is free from then on."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, layer)
    give_back_freed_memory(layer.values.device)
