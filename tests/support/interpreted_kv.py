"""Compares the kernels that write and read keys and values in FP8 with torch, interpreted on a CPU; the others, too.

On a GPU the checks run as they are, with tensors made there.

TRITON_INTERPRET=1 python tests/support/interpreted_kv.py   → status 0: equal
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm
from triton.runtime import interpreter

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import interpreted_fp8
from support.interpreted_elementwise import weighted
from support.interpreted_fp8 import assert_equal, rounded
from yanshou.engines.continuous import ops
from yanshou.engines.continuous.attention import decode_attention
from yanshou.engines.continuous.attention_metadata import DecodeMetadata
from yanshou.engines.continuous.batch_keys_values import BatchKeysValues
from yanshou.engines.continuous.fp8.activations import Fp8Rows
from yanshou.engines.continuous.kernels import attention, elementwise
from yanshou.engines.continuous.language_model import zero_fp8_rows

HEADS, KEY_HEADS, HEAD_DIM, SLOT_LEN = 4, 2, 32, 160
SCALE = HEAD_DIM**-0.5
NEAR = {"rtol": 3e-3, "atol": 3e-3}  # of numbers up to about 30; the kernels multiply with 10 bits after the point
NEAR_IN_16_BITS = {"rtol": 2e-2, "atol": 5e-2}  # small results of 200 draws differ by 0.02 at most


def cache_of(x: Tensor) -> Fp8Rows:
    """x (rows, key heads, head_dim) in a cache."""
    cache = zero_fp8_rows((len(x), *x.shape[1:]), x.device)
    cache[:] = Fp8Rows.of(x)
    return cache


def on_cpu(rows: Fp8Rows) -> Fp8Rows:
    return Fp8Rows(rows.values.cpu(), rows.scales.cpu())


def uneven(rows: int) -> Tensor:
    """Rows whose sizes differ by a factor of 10,000, so that each needs its own scale."""
    order = torch.randperm(rows)
    exponents = torch.linspace(-3, 1, rows, device=order.device)[order]
    return torch.randn(rows, KEY_HEADS, HEAD_DIM) * 10 ** exponents[:, None, None]


def check_write() -> None:
    """Each row and head has the scale of its own numbers, at its own place; other rows stay as they are.

    The batch gets the same numbers before they are rounded to FP8.
    """
    norms = [weighted(Qwen3VLTextRMSNorm(HEAD_DIM)) for _ in range(2)]
    layer = SimpleNamespace(head_dim=HEAD_DIM, q_norm=norms[0], k_norm=norms[1])
    qkv, angles = torch.randn(5, (HEADS + 2 * KEY_HEADS) * HEAD_DIM), torch.randn(2, 5, HEAD_DIM)
    qkv[2, -HEAD_DIM:] = 0
    rows, in_batch, found = torch.tensor([7, 2, 3, 9, 0]), torch.tensor([0, 1, 4, 5, 6]), []
    for kernels in (None, elementwise):
        caches = [zero_fp8_rows((11, KEY_HEADS, HEAD_DIM), qkv.device) for _ in range(2)]
        keys, values = (torch.zeros(8, KEY_HEADS, HEAD_DIM) for _ in range(2))
        batch = BatchKeysValues(keys, values, in_batch, torch.empty(0), [])
        with mock.patch.object(ops, "triton_ops", return_value=kernels):
            q = ops.qk_norm_rope_cache(qkv, layer, *angles, rows, *caches, batch)
            decode = [zero_fp8_rows((11, KEY_HEADS, HEAD_DIM), qkv.device) for _ in range(2)]
            ops.qk_norm_rope_cache(qkv, layer, *angles, rows, *decode)
        for cache, alone, plain in zip(caches, decode, (keys, values), strict=True):
            assert_equal(cache[rows], Fp8Rows.of(plain[in_batch]))
            assert torch.equal(alone.values.float(), cache.values.float())
        found.append((q, *caches, keys, values))
    for at in (0, 3, 4):
        torch.testing.assert_close(found[1][at], found[0][at], rtol=1e-5, atol=1e-5)
    for expected, other in zip(found[0][1:3], found[1][1:3], strict=True):
        assert_equal(other, expected)
    assert not found[1][1][1].values.float().any()  # row 1 was not written


def check_decode(dtype: torch.dtype) -> None:
    """Slots of different lengths, one inactive; the first keys of two are read from a shared prefix."""
    slots, prefix_start = 4, 4 * SLOT_LEN
    q = (3 * torch.randn(slots, HEADS, HEAD_DIM)).to(dtype)
    k, v = uneven(prefix_start + 20), uneven(prefix_start + 20)
    for cache in (k, v):
        cache[SLOT_LEN : SLOT_LEN + 20] = cache[2 * SLOT_LEN : 2 * SLOT_LEN + 20] = cache[prefix_start:]
    metadata = DecodeMetadata(
        torch.tensor([5, 140, 64, 0]).int(), torch.tensor([0, 20, 20, 0]).int(),
        torch.tensor([0, prefix_start, prefix_start, 0]),
    )  # fmt: skip
    keys, values = cache_of(k), cache_of(v)
    found = attention.decode(q, keys, values, metadata, SLOT_LEN, SCALE)
    expected = decode_attention(q.float().cpu(), on_cpu(keys), on_cpu(values), metadata, SLOT_LEN, SCALE)
    near = NEAR if dtype == torch.float32 else NEAR_IN_16_BITS
    torch.testing.assert_close(found.float().cpu(), expected, **near)
    assert found.dtype == dtype
    alone = DecodeMetadata(*(part[1:2].clone() for part in (metadata.context_lens, *[torch.zeros(4).long()] * 2)))
    own = slice(SLOT_LEN, 2 * SLOT_LEN)
    one = attention.decode(q[1:2], cache_of(k[own]), cache_of(v[own]), alone, SLOT_LEN, SCALE)
    assert torch.equal(one[0], found[1])  # in other company, at another place, without a shared prefix


def main() -> None:
    interpreted_fp8.main()
    with mock.patch.object(interpreter, "_convert_float", rounded):
        check_write()
        for dtype in (torch.float32, torch.bfloat16):
            check_decode(dtype)


if __name__ == "__main__":
    main()
