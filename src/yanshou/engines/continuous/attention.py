"""Attention where every row minds its own keys only, so that its neighbours cannot change a bit of it.

    packed    the queries of several sequences one behind the other   ▏q q q q▕ q q▕ q q q ┈┈┈   (rows, heads, width)
    decode    one query a slot                                        ▏q▕ q▕ q▕ q▕

Keys and values lie wherever a sequence's rows begin. On a GPU both are kernels of our own (`kernel.py`), but for packed
attention in float32 (SDPA, as on a CPU, sequence by sequence) and of heads whose width is no power of two
(FlashAttention, part of torch).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether packed attention has a kernel there, ours or FlashAttention: in 16 bits, on Ampere and later."""
    return device.type == "cuda" and dtype != torch.float32 and torch.cuda.get_device_capability(device) >= (8, 0)


def packed_attention(q: Tensor, k: Tensor, v: Tensor, spans: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    """(rows, heads, width). A causal sequence's last query sees all of its keys. Rows outside all spans: anything."""
    if spans.starts is None:
        return _one_by_one(q, k, v, spans, scale, causal)
    if not q.shape[-1] & (q.shape[-1] - 1):  # Triton's blocks are powers of two
        from yanshou.engines.continuous.kernels.attention import packed

        return packed(q, k, v, spans, scale, causal)
    longest_q, longest_k = spans.longest
    out: Tensor = torch.ops.aten._flash_attention_forward(
        q, k, v, spans.starts, spans.key_starts, longest_q, longest_k, 0.0, causal, False,
        scale=scale, seqused_k=spans.key_lengths,
    )[0]  # fmt: skip
    return out


def _one_by_one(q: Tensor, k: Tensor, v: Tensor, spans: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    out = torch.zeros_like(q)
    for (q_from, q_to), (k_from, k_to) in zip(spans.queries, spans.keys, strict=True):
        before = (k_to - k_from) - (q_to - q_from)  # keys that the first query sees beside its own
        mask = None
        if causal and before:
            mask = torch.ones(q_to - q_from, k_to - k_from, dtype=torch.bool, device=q.device).tril(before)
        out[q_from:q_to] = _sdpa(q[q_from:q_to], k[k_from:k_to], v[k_from:k_to], mask, scale, causal and not before)
    return out


def decode_attention(q: Tensor, k: Tensor, v: Tensor, reach: DecodeMetadata, room: int, scale: float) -> Tensor:
    """One query a slot, (slots, heads, width), over the first of its `room` rows; anything for a slot at rest."""
    if q.is_cuda:
        from yanshou.engines.continuous.kernels.attention import decode

        return decode(q, k, v, reach, room, scale)
    out = torch.zeros_like(q)
    for slot, length in enumerate(reach.lengths.tolist()):
        if length:
            rows = slice(slot * room, slot * room + length)
            out[slot : slot + 1] = _sdpa(q[slot : slot + 1], k[rows], v[rows], None, scale, False)
    return out


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool) -> Tensor:
    q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))  # heads first
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=grouped)
    return out[0].transpose(0, 1)
