"""Which linear layers of a checkpoint become FP8: those of the language layers and of the vision tower's blocks.

Embeddings, the head, the patch embedding and the mergers stay in 16 bits.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from yanshou.engines.continuous.fp8.forms import DecodeForms
from yanshou.engines.continuous.fp8.linear import Fp8Linear

TEXT = {  # linear layers of a language layer, and the product that each is part of
    "self_attn.q_proj": "qkv", "self_attn.k_proj": "qkv", "self_attn.v_proj": "qkv", "self_attn.o_proj": "o",
    "mlp.gate_proj": "gate_up", "mlp.up_proj": "gate_up", "mlp.down_proj": "down",
}  # fmt: skip
VISION = ("attn.qkv", "attn.proj", "mlp.linear_fc1", "mlp.linear_fc2")  # of a block of the vision tower


def fp8_layers(model: Any, forms: DecodeForms) -> Iterator[tuple[str, bool]]:
    """The name of each layer that becomes FP8, and whether decode steps read its weight in 16 bits.

    `model` is the whole Qwen3-VL model, which may be on the meta device.
    """
    for index in range(len(model.model.visual.blocks)):
        yield from ((f"model.visual.blocks.{index}.{name}", False) for name in VISION)
    for index in range(len(model.model.language_model.layers)):
        for name, product in TEXT.items():
            yield f"model.language_model.layers.{index}.{name}", forms[product] == "bf16"


def quantize_(model: nn.Module, forms: DecodeForms) -> None:
    """Replaces the layers of a loaded model, one by one, on the device where it is."""
    for name, keep_weight in list(fp8_layers(model, forms)):
        replace_layer(model, name, Fp8Linear.of(model.get_submodule(name), keep_weight))  # type: ignore[arg-type]


def replace_layer(model: nn.Module, name: str, layer: Fp8Linear) -> None:
    """Puts an FP8 layer in the place of the layer of that name."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, layer)
