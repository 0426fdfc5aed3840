"""Matrix products of a layer, in the dtype of the run or in FP8, behind one interface.

                         16 bits                              FP8
product(x)               x (rows, inputs) of 16 bits          x in FP8, or quantized here
product.residual(x, …)   adds to x in place, returns None     returns what the next norm adds to x in the same pass
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yanshou.engines.continuous.fp8.activations import Activations, Fp8Rows
from yanshou.engines.continuous.fp8.linear import Fp8Linear, fp8_product
from yanshou.engines.continuous.ops import add_linear_, bias_gelu, linear_gelu, quantize_rows
from yanshou.engines.device import give_back_freed_memory


@dataclass(frozen=True, slots=True)
class PlainProduct:
    """x × weightᵀ + bias in the dtype of the run."""

    weight: Tensor  # (outputs, inputs)
    bias: Tensor | None
    takes_fp8: ClassVar[bool] = False

    def __call__(self, x: Activations) -> Tensor:
        assert isinstance(x, Tensor)
        return F.linear(x, self.weight, self.bias)

    def residual(self, x: Tensor, other: Activations) -> Tensor | None:
        """x (rows, outputs) += the product of `other` (rows, …)."""
        assert isinstance(other, Tensor)
        add_linear_(x, other, self.weight, self.bias)
        return None

    def gelu(self, x: Activations, activation: nn.Module) -> Activations:
        """activation(product), an activation of the GELU family."""
        assert isinstance(x, Tensor)
        assert self.bias is not None
        return linear_gelu(x, self.weight, self.bias, activation)


@dataclass(frozen=True, slots=True)
class Fp8Product:
    """x × weightᵀ + bias with both factors in FP8."""

    values: Tensor  # (outputs, inputs) float8_e4m3fn
    scales: Tensor  # (outputs, 1) float32
    bias: Tensor | None
    dtype: torch.dtype  # of the result
    takes_fp8: ClassVar[bool] = True

    def __call__(self, x: Activations) -> Tensor:
        return self._product(x, self.bias)

    def residual(self, x: Tensor, other: Activations) -> Tensor | None:
        """What the next norm adds to x: the product of `other` (rows, …)."""
        return self._product(other, self.bias)

    def gelu(self, x: Activations, activation: nn.Module) -> Activations:
        """activation(product) in FP8."""
        assert self.bias is not None
        return bias_gelu(self._product(x, None), self.bias, activation)

    def _product(self, x: Activations, bias: Tensor | None) -> Tensor:
        rows = x if isinstance(x, Fp8Rows) else quantize_rows(x.reshape(len(x), -1))
        return fp8_product(rows, self.values, self.scales, bias, self.dtype)


Product = PlainProduct | Fp8Product


@dataclass(frozen=True, slots=True)
class LayerProducts:
    """The products of a language layer."""

    qkv: Product
    o: Product
    gate_up: Product
    down: Product


@dataclass(frozen=True, slots=True)
class BlockProducts:
    """The products of a block of the vision tower. `proj` and `fc2` leave their biases to the next norm."""

    qkv: Product
    proj: Product
    fc1: Product
    fc2: Product


def layer_products(layer: Any) -> LayerProducts:
    """The products of a language layer. The memory of weights that are now parts of larger ones is free."""
    attention, mlp = layer.self_attn, layer.mlp
    products = LayerProducts(
        _product(attention.q_proj, attention.k_proj, attention.v_proj), _product(attention.o_proj),
        _product(mlp.gate_proj, mlp.up_proj), _product(mlp.down_proj),
    )  # fmt: skip
    give_back_freed_memory(layer.input_layernorm.weight.device)
    return products


def block_products(block: Any) -> BlockProducts:
    """The products of a block of the vision tower."""
    attention, mlp = block.attn, block.mlp
    return BlockProducts(
        _product(attention.qkv), _product(attention.proj, bias=False),
        _product(mlp.linear_fc1), _product(mlp.linear_fc2, bias=False),
    )  # fmt: skip


def _product(*linears: Any, bias: bool = True) -> Product:
    """Linear layers of the same input as one product: fewer and larger products."""
    own_bias = _fused(linears, "bias") if bias and linears[0].bias is not None else None
    if not isinstance(linears[0], Fp8Linear):
        return PlainProduct(_fused(linears, "weight"), own_bias)
    return Fp8Product(_fused(linears, "values"), _fused(linears, "scales"), own_bias, linears[0].dtype)


def _fused(linears: Sequence[Any], name: str) -> Tensor:
    """The tensors of that name as one, (sum of outputs, …). They become views of it."""
    parts: list[Tensor] = [getattr(linear, name).detach() for linear in linears]
    if len(parts) == 1:
        return parts[0]
    whole = torch.cat([part.view(torch.uint8) for part in parts]).view(parts[0].dtype)
    for linear, own in zip(linears, whole.split([len(part) for part in parts]), strict=True):
        getattr(linear, name).data = own
    return whole
