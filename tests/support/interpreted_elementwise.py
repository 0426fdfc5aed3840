"""The kernels between the matrix products against torch's own operations, interpreted on a CPU.

TRITON_INTERPRET=1 python tests/support/interpreted_elementwise.py   → status 0: the same numbers
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

from yanshou.engines.continuous import ops as pointwise
from yanshou.engines.continuous.kernels import elementwise as pointwise_kernel

ROWS = 5


def weighted(norm: nn.Module) -> nn.Module:
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


def both(work: Callable[..., Any], *given: Any) -> tuple[list[Tensor], list[Tensor]]:
    """What torch makes of it and what the kernel does, and then all that was given, which may be written to."""
    told = []
    for kernel in (False, True):
        own = [one.clone() if isinstance(one, Tensor) else one for one in given]
        with mock.patch.object(pointwise, "kernels", return_value=pointwise_kernel if kernel else None):
            result = work(*own)
        results = result if isinstance(result, tuple) else (result,)
        told.append([one for one in (*results, *own) if isinstance(one, Tensor)])
    return told[0], told[1]


def check(work: Callable[..., Any], *given: Any, written: bool = True) -> None:
    """`written`: what is given is the same afterwards, too."""
    plain, kernel = both(work, *given)
    assert len(plain) == len(kernel)
    for one, other in list(zip(plain, kernel, strict=True))[: None if written else 3]:
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)


def main() -> None:
    torch.manual_seed(0)
    for width in (64, 80, 2_560):
        check(pointwise.rms_norm, torch.randn(ROWS, width), weighted(Qwen3VLTextRMSNorm(width)))
        norm = weighted(nn.LayerNorm(width, eps=1e-6))
        check(pointwise.layer_norm, torch.randn(ROWS, width) + 3, norm, torch.randn(width))
    for width in (48, 1_024, 1_500):
        for activation in (nn.SiLU(), SiLUActivation()):
            check(pointwise.gated, 3 * torch.randn(ROWS, 2 * width), activation)
    for heads, width in ((4, 16), (3, 24), (16, 72)):
        angles = torch.randn(2, ROWS, width)
        plain, kernel = both(
            pointwise.turned, torch.randn(ROWS, 3 * heads * width), heads, angles.cos()[0], angles.sin()[1]
        )
        torch.testing.assert_close(kernel[0], plain[0], rtol=1e-5, atol=1e-5)
    for heads, key_heads, width in ((4, 2, 16), (6, 3, 32), (32, 8, 128)):
        attention = SimpleNamespace(
            head_dim=width, q_norm=weighted(Qwen3VLTextRMSNorm(width)), k_norm=weighted(Qwen3VLTextRMSNorm(width))
        )
        qkv, angles = torch.randn(ROWS, (heads + 2 * key_heads) * width), torch.randn(2, ROWS, width)
        rows, table = torch.tensor([7, 2, 9, 0, 5]), torch.randn(2, 11, key_heads, width)
        check(pointwise.into_table, qkv, attention, angles[0].cos(), angles[1].sin(), rows, table[0], table[1])


if __name__ == "__main__":
    main()
