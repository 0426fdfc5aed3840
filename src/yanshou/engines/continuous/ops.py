"""Operations between attention and the matrix products: norms, rotary embeddings, activations, cache writes.

On CUDA most are one Triton kernel each (`kernels/elementwise.py`; `kernels/quantize.py` where the result is in FP8):
one pass over memory, computed in float32, rounded once. Elsewhere torch's own operations run. A trailing underscore
means that the first argument changes in place.
"""

from typing import Any, Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import GELUTanh, SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb, apply_rotary_pos_emb_vision

from yanshou.engines.continuous.batch_keys_values import BatchKeysValues
from yanshou.engines.continuous.fp8.activations import Activations, Fp8Rows, put


def triton_ops(x: Tensor) -> Any:
    """The module of Triton kernels if x is on a GPU, else None."""
    if not x.is_cuda:
        return None
    from yanshou.engines.continuous.kernels import elementwise

    return elementwise


def triton_fp8_ops(x: Tensor) -> Any:
    """The module of Triton kernels that write FP8 if x is on a GPU, else None."""
    if not triton_ops(x):
        return None
    from yanshou.engines.continuous.kernels import quantize

    return quantize


def quantize_rows(x: Tensor) -> Fp8Rows:
    """x (rows, width) in FP8."""
    kernels = triton_fp8_ops(x)
    rows: Fp8Rows = kernels.quantize_rows(x) if kernels else Fp8Rows.of(x)
    return rows


@overload
def rms_norm(x: Tensor, norm: Any, added: Tensor | None = None, fp8: Literal[False] = False) -> Tensor: ...
@overload
def rms_norm(x: Tensor, norm: Any, added: Tensor | None = None, fp8: bool = False) -> Activations: ...
def rms_norm(x: Tensor, norm: Any, added: Tensor | None = None, fp8: bool = False) -> Activations:
    """x (rows, width) through the checkpoint's RMSNorm.

    First `added` (rows, width), the output of the product before, is added to x in place.
    """
    kernels = triton_ops(x)
    if kernels and (fp8 or added is not None):
        rows: Activations = triton_fp8_ops(x).rms_norm(x, added, norm.weight, norm.variance_epsilon, fp8)
        return rows
    if added is not None:
        x += added
    normed: Tensor = kernels.rms_norm(x, norm.weight, norm.variance_epsilon) if kernels else norm(x)
    return Fp8Rows.of(normed) if fp8 else normed


def layer_norm(
    x: Tensor, norm: nn.LayerNorm, residual_bias: Tensor, added: Tensor | None = None, fp8: bool = False
) -> Activations:
    """x (rows, width) through a LayerNorm.

    First `residual_bias` (width,), the bias that the projection before has left out, is added to x in place. So is
    `added` (rows, width), its output, if that is in FP8.
    """
    assert added is None or fp8
    if fp8 and (kernels := triton_fp8_ops(x)):
        rows: Fp8Rows = kernels.layer_norm(x, residual_bias, added, norm.weight, norm.bias, norm.eps)
        return rows
    if kernels := triton_ops(x):
        normed: Tensor = kernels.layer_norm(x, residual_bias, norm.weight, norm.bias, norm.eps)
        return normed
    x += residual_bias if added is None else added + residual_bias
    normed = F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    return Fp8Rows.of(normed) if fp8 else normed


def addmm_(x: Tensor, other: Tensor, weight: Tensor) -> None:
    """x (rows, width) += other (rows, …) @ weightᵀ."""
    x.addmm_(other.reshape(len(x), -1), weight.t())


def add_linear_(x: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """x (rows, width) += other (rows, …) @ weightᵀ + bias."""
    addmm_(x, other, weight)
    if bias is not None:
        x += bias


def act_and_mul(gate_up: Tensor, activation: nn.Module, fp8: bool = False) -> Activations:
    """gate_up (rows, 2 × width), gates first → activation(gate) × up, (rows, width)."""
    if isinstance(activation, (nn.SiLU, SiLUActivation)) and (kernels := triton_ops(gate_up)):
        if fp8:
            kernels = triton_fp8_ops(gate_up)
        out: Activations = kernels.silu_and_mul(gate_up)
        return out
    gate, up = gate_up.chunk(2, dim=-1)
    return quantize_rows(activation(gate) * up) if fp8 else activation(gate) * up


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor, activation: nn.Module) -> Tensor:
    """activation(x @ weightᵀ + bias); on a GPU one fused operation if the activation is GELU with tanh."""
    if x.is_cuda and isinstance(activation, GELUTanh):
        return torch._addmm_activation(bias, x, weight.t(), use_gelu=True)
    out: Tensor = activation(F.linear(x, weight, bias))
    return out


def bias_gelu(x: Tensor, bias: Tensor, activation: nn.Module) -> Fp8Rows:
    """activation(x + bias) in FP8, x (rows, width); one kernel if the activation is GELU with tanh."""
    if isinstance(activation, GELUTanh) and (kernels := triton_fp8_ops(x)):
        rows: Fp8Rows = kernels.bias_gelu(x, bias)
        return rows
    return quantize_rows(activation(x + bias))


def apply_rope_(qkv: Tensor, heads: int, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The vision tower's qkv (rows, 3 × heads × head_dim) → q, k, v (rows, heads, head_dim) each, q and k rotated.

    `cos` and `sin` (rows, head_dim) are of the rotation angles. The content of qkv is lost.
    """
    q, k, v = qkv.view(len(qkv), 3, heads, -1).unbind(1)
    if kernels := triton_ops(qkv):
        kernels.apply_rope_(qkv, 2 * heads, cos, sin)
        return q, k, v
    q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
    return q, k, v


def qk_norm_rope_cache(
    qkv: Tensor, attention: Any, cos: Tensor, sin: Tensor, slot_mapping: Tensor, key_cache: Activations,
    value_cache: Activations, batch_kv: BatchKeysValues | None = None,
) -> Tensor:  # fmt: skip
    """A text layer's fused projection (rows, …) → queries (rows, heads, head_dim), normalized and rotated.

    The keys, normalized and rotated, and the values go to the rows `slot_mapping` (rows,) of the layer's caches, which
    are (cache rows, key heads, head_dim) each. Those of a prefill batch beside a cache in FP8 go to `batch_kv` as well.
    """
    head_dim, key_heads = attention.head_dim, key_cache.shape[1]
    heads = qkv.shape[1] // head_dim - 2 * key_heads
    q_norm, k_norm = attention.q_norm, attention.k_norm
    if kernels := triton_ops(qkv):
        q: Tensor = kernels.qk_norm_rope_cache(
            qkv, heads, q_norm.weight, k_norm.weight, q_norm.variance_epsilon, cos, sin, slot_mapping, key_cache,
            value_cache, batch_kv,
        )  # fmt: skip
        return q
    q, k, v = torch.split(qkv.view(len(qkv), -1, head_dim), [heads, key_heads, key_heads], dim=1)
    q, k = apply_rotary_pos_emb(q_norm(q), k_norm(k), cos, sin, unsqueeze_dim=1)
    put(key_cache, slot_mapping, k)
    put(value_cache, slot_mapping, v)
    if batch_kv:
        put(batch_kv.keys, batch_kv.slot_mapping, k)
        put(batch_kv.values, batch_kv.slot_mapping, v)
    return q
