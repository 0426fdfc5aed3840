"""What stands between the matrix products: norms, rotations, activations, each in one pass over the memory.

On a GPU by a kernel of its own (`pointwise_kernel.py`), elsewhere by torch's own operations. The kernels reckon in
float32 and round once, at the end.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import GELUTanh, SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb, apply_rotary_pos_emb_vision


def kernels(x: Tensor) -> Any:
    """The module of the kernels, where x is on a GPU."""
    if not x.is_cuda:
        return None
    from yanshou.engines.continuous.kernels import elementwise as pointwise_kernel

    return pointwise_kernel


def rms_norm(x: Tensor, norm: Any) -> Tensor:
    """(rows, width), normed and weighted as the checkpoint's `norm` does it."""
    own = kernels(x)
    normed: Tensor = own.rms_norm(x, norm.weight, norm.variance_epsilon) if own else norm(x)
    return normed


def layer_norm(x: Tensor, norm: nn.LayerNorm, bias: Tensor) -> Tensor:
    """(rows, width). `bias` (width,), which the product before has left out, is added to x itself first."""
    if own := kernels(x):
        normed: Tensor = own.layer_norm(x, bias, norm.weight, norm.bias, norm.eps)
        return normed
    x += bias
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def add_product(x: Tensor, other: Tensor, weight: Tensor) -> None:
    """Adds `other` (rows, …) times a projection's weight to x (rows, width), where x lies."""
    x.addmm_(other.reshape(len(x), -1), weight.t())


def add_projection(x: Tensor, other: Tensor, projection: nn.Linear) -> None:
    """The same with its bias, if it has one."""
    add_product(x, other, projection.weight)
    if projection.bias is not None:
        x += projection.bias


def gated(gate_up: Tensor, activation: nn.Module) -> Tensor:
    """Gates and what they let through side by side, (rows, 2 × width) → (rows, width)."""
    own = kernels(gate_up) if isinstance(activation, (nn.SiLU, SiLUActivation)) else None
    gate, up = gate_up.chunk(2, dim=-1)
    through: Tensor = own.gated(gate_up) if own else activation(gate) * up
    return through


def activated(x: Tensor, first: nn.Linear, activation: nn.Module) -> Tensor:
    """A projection and its activation; on a GPU in one."""
    if x.is_cuda and isinstance(activation, GELUTanh):
        return torch._addmm_activation(first.bias, x, first.weight.t(), use_gelu=True)
    result: Tensor = activation(first(x))
    return result


def turned(qkv: Tensor, heads: int, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The tower's queries, keys and values, (rows, heads, width) each, of (rows, 3 × heads × width), which is used up.

    `cos` and `sin` (rows, width) of the angle that queries and keys are turned by.
    """
    q, k, v = qkv.view(len(qkv), 3, heads, -1).unbind(1)
    if own := kernels(qkv):
        own.turn(qkv, 2 * heads, cos, sin)
        return q, k, v
    q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
    return q, k, v


def into_table(
    qkv: Tensor, attention: Any, cos: Tensor, sin: Tensor, rows: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Queries (rows, heads, width), normed and turned, of a text layer's joined projections.

    Its keys, normed and turned, and its values go into `rows` (rows,) of two tables (all rows, key heads, width).
    """
    width, key_heads = attention.head_dim, keys.shape[1]
    heads = qkv.shape[1] // width - 2 * key_heads
    if own := kernels(qkv):
        q_norm, k_norm = attention.q_norm, attention.k_norm
        q: Tensor = own.into_table(
            qkv, heads, q_norm.weight, k_norm.weight, q_norm.variance_epsilon, cos, sin, rows, keys, values
        )
        return q
    q, k, v = torch.split(qkv.view(len(qkv), -1, width), [heads, key_heads, key_heads], dim=1)
    q, k = apply_rotary_pos_emb(attention.q_norm(q), attention.k_norm(k), cos, sin, unsqueeze_dim=1)
    keys.index_copy_(0, rows, k)
    values.index_copy_(0, rows, v)
    return q
