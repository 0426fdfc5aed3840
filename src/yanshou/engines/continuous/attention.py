"""Batch-invariant attention: a row's result depends only on its own query and keys, bit for bit.

varlen    queries of several sequences in one tensor    ▏q q q q▕ q q▕ q q q ┈┈┈   (rows, heads, head_dim)
decode    one query per slot                            ▏q▕ q▕ q▕ q▕               (slots, heads, head_dim)

call      device                      dtype         head_dim          backend
varlen    CUDA, Ampere or later       fp16, bf16    a power of two    Triton (`kernels/attention.py`)
varlen    CUDA, Ampere or later       fp16, bf16    any other         FlashAttention (part of torch)
varlen    CUDA                        fp32          any               SDPA, one sequence after another
varlen    CUDA before Ampere, CPU     any           any               SDPA, one sequence after another
decode    CUDA                        any           a power of two    Triton
decode    CPU                         any           any               SDPA, one slot after another
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.fp8.activations import Activations, Fp8Rows


def has_varlen_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `varlen_attention` runs a kernel there, Triton's or FlashAttention: 16 bits, Ampere or later."""
    return device.type == "cuda" and dtype != torch.float32 and torch.cuda.get_device_capability(device) >= (8, 0)


def varlen_attention(q: Tensor, k: Tensor, v: Tensor, metadata: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    """Q, K, V → (rows, heads, head_dim). Causal: a sequence's last query sees all of its keys.

    Rows outside all sequences are undefined. Metadata without device tensors selects SDPA.
    """
    if metadata.cu_seqlens_q is None:
        return _varlen_sdpa(q, k, v, metadata, scale, causal)
    if not q.shape[-1] & (q.shape[-1] - 1):  # Triton's blocks are powers of two
        from yanshou.engines.continuous.kernels import attention as kernels

        return kernels.varlen(q, k, v, metadata, scale, causal)
    out: Tensor = torch.ops.aten._flash_attention_forward(
        q, k, v, metadata.cu_seqlens_q, metadata.k_starts, metadata.max_seqlen_q, metadata.max_seqlen_k, 0.0, causal,
        False, scale=scale, seqused_k=metadata.seqused_k,
    )[0]  # fmt: skip
    return out


def _varlen_sdpa(q: Tensor, k: Tensor, v: Tensor, metadata: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    out = torch.zeros_like(q)
    for (q_start, q_end), (k_start, k_end) in zip(metadata.query_ranges, metadata.key_ranges, strict=True):
        cached = (k_end - k_start) - (q_end - q_start)  # keys before the first query's own
        mask = None
        if causal and cached:
            mask = torch.ones(q_end - q_start, k_end - k_start, dtype=torch.bool, device=q.device).tril(cached)
        is_causal = causal and not cached
        out[q_start:q_end] = _sdpa(q[q_start:q_end], k[k_start:k_end], v[k_start:k_end], mask, scale, is_causal)
    return out


def decode_attention(
    q: Tensor, k: Activations, v: Activations, metadata: DecodeMetadata, slot_len: int, scale: float
) -> Tensor:
    """One query per slot, (slots, heads, head_dim), over the first of the slot's `slot_len` cache rows.

    Rows of inactive slots are undefined.
    """
    if q.is_cuda:
        from yanshou.engines.continuous.kernels import attention as kernels

        return kernels.decode(q, k, v, metadata, slot_len, scale)
    out = torch.zeros_like(q)
    for slot, context_len in enumerate(metadata.context_lens.tolist()):
        if context_len:
            rows = slice(slot * slot_len, slot * slot_len + context_len)
            out[slot : slot + 1] = _sdpa(q[slot : slot + 1], k[rows], v[rows], None, scale, False)
    return out


def _sdpa(q: Tensor, k: Activations, v: Activations, mask: Tensor | None, scale: float, is_causal: bool) -> Tensor:
    """One sequence: (rows, heads, head_dim) in, the same shape as q out."""
    k, v = (part.dequantized().to(q.dtype) if isinstance(part, Fp8Rows) else part for part in (k, v))
    q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))  # heads first
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, scale=scale, enable_gqa=grouped)
    return out[0].transpose(0, 1)
