"""SDPA for a decode step with grouped-query attention (GQA) that does not copy keys and values per query head.

    query (rows, 32 heads, 1, width)  →  (rows, 8 key heads, 4, width)     the 4 queries of a key head as 4 positions

For padded rows transformers repeats keys and values for every query head of a group: with 128 rows of 1,000 tokens that
is 80 GB per step. cuDNN, which torch may prefer, makes a new plan for every number of keys, so in every step.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

GQA_SDPA = "gqa_sdpa"  # the name in transformers' registry
SDPA_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]  # all but cuDNN


def gqa_sdpa(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **named: Any
) -> tuple[Tensor, None]:
    """An attention function with transformers' signature. All but GQA decode steps goes to transformers' own SDPA."""
    groups = getattr(module, "num_key_value_groups", 1)
    if query.shape[2] != 1 or groups == 1:
        plain: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **named)
        return plain
    rows, heads, _, width = query.shape
    mask = None if attention_mask is None else attention_mask.expand(-1, -1, groups, -1)
    out = F.scaled_dot_product_attention(
        query.reshape(rows, heads // groups, groups, width), key, value, attn_mask=mask, scale=named.get("scaling")
    )
    return out.reshape(rows, 1, heads, width), None


AttentionInterface.register(GQA_SDPA, gqa_sdpa)
AttentionMaskInterface.register(GQA_SDPA, sdpa_mask)
