"""Compares the kernels of `ops.py` with torch's own operations, interpreted on a CPU.

TRITON_INTERPRET=1 python tests/support/interpreted_elementwise.py   → status 0: equal
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

from yanshou.engines.continuous import ops
from yanshou.engines.continuous.kernels import elementwise

ROWS = 5


def weighted(norm: nn.Module) -> nn.Module:
    """The norm with random weights."""
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


def both(work: Callable[..., Any], *arguments: Any) -> tuple[list[Tensor], list[Tensor]]:
    """With torch and with the kernel: the results, then the tensors among the arguments, which may have changed."""
    found = []
    for kernels in (None, elementwise):
        copies = [one.clone() if isinstance(one, Tensor) else one for one in arguments]
        with mock.patch.object(ops, "triton_ops", return_value=kernels):
            result = work(*copies)
        results = result if isinstance(result, tuple) else (result,)
        found.append([one for one in (*results, *copies) if isinstance(one, Tensor)])
    return found[0], found[1]


def check(work: Callable[..., Any], *arguments: Any) -> None:
    """Results and arguments are equal, whether torch or the kernel did the work."""
    plain, kernel = both(work, *arguments)
    assert len(plain) == len(kernel)
    for one, other in zip(plain, kernel, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)


def main() -> None:
    torch.manual_seed(0)
    for width in (64, 80, 2_560):
        check(ops.rms_norm, torch.randn(ROWS, width), weighted(Qwen3VLTextRMSNorm(width)))
        norm = weighted(nn.LayerNorm(width, eps=1e-6))
        check(ops.layer_norm, torch.randn(ROWS, width) + 3, norm, torch.randn(width))
    for width in (48, 1_024, 1_500):
        for activation in (nn.SiLU(), SiLUActivation()):
            check(ops.act_and_mul, 3 * torch.randn(ROWS, 2 * width), activation)
    for heads, head_dim in ((4, 16), (3, 24), (16, 72)):
        angles = torch.randn(2, ROWS, head_dim)
        qkv = torch.randn(ROWS, 3 * heads * head_dim)
        plain, kernel = both(ops.apply_rope_, qkv, heads, angles.cos()[0], angles.sin()[1])
        for one, other in zip(plain[:3], kernel[:3], strict=True):  # q, k, v; qkv itself may differ
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
    for heads, key_heads, head_dim in ((4, 2, 16), (6, 3, 32), (32, 8, 128)):
        attention = SimpleNamespace(
            head_dim=head_dim,
            q_norm=weighted(Qwen3VLTextRMSNorm(head_dim)),
            k_norm=weighted(Qwen3VLTextRMSNorm(head_dim)),
        )
        qkv, angles = torch.randn(ROWS, (heads + 2 * key_heads) * head_dim), torch.randn(2, ROWS, head_dim)
        slot_mapping, cache = torch.tensor([7, 2, 9, 0, 5]), torch.randn(2, 11, key_heads, head_dim)
        cos, sin = angles[0].cos(), angles[1].sin()
        check(ops.qk_norm_rope_cache, qkv, attention, cos, sin, slot_mapping, cache[0], cache[1])


if __name__ == "__main__":
    main()
