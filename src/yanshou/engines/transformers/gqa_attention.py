"""SDPA for a decode step with grouped query heads: a key head's queries stand as rows of one query, keys as they are.

transformers repeats keys and values for every query head of a group where rows are padded, 128 rows × 1,000 tokens are
80 GB a step then. And cuDNN, which torch may prefer, plans anew for every length of the keys, which is every step.

    query (rows, 32 heads, 1, width)  →  (rows, 8 key heads, 4, width)
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

GQA_SDPA = "gqa_sdpa"
SDPA_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def gqa_sdpa(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **named: Any
) -> tuple[Tensor, None]:
    """In transformers' signature. Whatever is no decode step with groups goes to its own SDPA."""
    groups = getattr(module, "num_key_value_groups", 1)
    if query.shape[2] != 1 or groups == 1:
        plain: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **named)
        return plain
    rows, heads, _, width = query.shape
    mask = None if attention_mask is None else attention_mask.expand(-1, -1, groups, -1)
    seen = F.scaled_dot_product_attention(
        query.reshape(rows, heads // groups, groups, width), key, value, attn_mask=mask, scale=named.get("scaling")
    )
    return seen.reshape(rows, 1, heads, width), None


AttentionInterface.register(GQA_SDPA, gqa_sdpa)
AttentionMaskInterface.register(GQA_SDPA, sdpa_mask)
