"""The vision tower over the photos of a pack, one behind the other: (patches, bytes) → a row for every visual token.

The checkpoint's own modules do the work; only the way to attention is written here, since transformers' goes photo by
photo. What depends on nothing but a photo's size (positions, rotary angles) is kept for the sizes seen last.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.activations import GELUTanh
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from yanshou.engines.continuous.attention import Spans, packed_attention

SIZES = 64  # photo sizes whose positions are kept; a few MB each

Grid = tuple[int, int]  # rows and columns of patches
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def into_attention(block: Any, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys, values (patches, heads, width) of one block."""
    qkv = block.attn.qkv(block.norm1(x)).view(x.shape[0], 3, block.attn.num_heads, -1)
    q, k = apply_rotary_pos_emb_vision(qkv[:, 0], qkv[:, 1], cos, sin)
    return q, k, qkv[:, 2]


def out_of_attention(block: Any, x: Tensor, attended: Tensor) -> Tensor:
    """The block's result, (patches, hidden)."""
    x = x + block.attn.proj(attended.reshape(x.shape))
    result: Tensor = x + _mlp(block.mlp, block.norm2(x))
    return result


def _mlp(mlp: Any, x: Tensor) -> Any:
    """On a GPU the activation is part of the product before it."""
    first = mlp.linear_fc1
    if x.is_cuda and isinstance(mlp.act_fn, GELUTanh):
        return mlp.linear_fc2(torch._addmm_activation(first.bias, x, first.weight.t(), use_gelu=True))
    return mlp(x)


class VisionTower:
    """The checkpoint's vision tower. `numbers` makes bytes into what it reads; `wrap` may compile a part."""

    def __init__(self, visual: Any, numbers: Callable[[Tensor], Tensor], wrap: Wrap) -> None:
        self.visual, self.numbers, self.merge = visual, numbers, visual.spatial_merge_size
        self._into, self._out_of = wrap(into_attention), wrap(out_of_attention)
        self._place = lru_cache(maxsize=SIZES)(self._places)

    def features(self, pixels: Tensor, grids: Sequence[Grid], spans: Spans) -> list[Tensor]:
        """The visual tokens, then what DeepStack adds to them behind each early layer, (tokens, hidden) each.

        Rows of `pixels` behind the last photo are padding, and so are those of the result.
        """
        visual = self.visual
        embed = visual.patch_embed.proj  # a convolution whose steps do not overlap is a matrix product
        x = F.linear(self.numbers(pixels), embed.weight.view(embed.out_channels, -1), embed.bias)
        places, cos, sin = (_stacked(parts, len(x)) for parts in zip(*map(self._place, grids), strict=True))
        x = x + places
        deep = []
        for number, block in enumerate(visual.blocks):
            q, k, v = self._into(block, x, cos, sin)
            x = self._out_of(block, x, packed_attention(q, k, v, spans, block.attn.scaling, causal=False))
            if number in visual.deepstack_visual_indexes:
                merger = visual.deepstack_merger_list[visual.deepstack_visual_indexes.index(number)]
                deep.append(merger(x))
        return [visual.merger(x), *deep]

    def _places(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Learned positions (patches, hidden), cosines and sines (patches, width) of a photo of this size."""
        visual = self.visual
        weight = visual.pos_embed.weight
        thw = torch.tensor([[1, *grid]], device=weight.device)
        indices, weights = get_vision_interpolation_indices_and_weights(
            thw, num_grid_per_side=visual.num_grid_per_side, mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners, spatial_merge_size=self.merge,
        )  # fmt: skip
        learned = (visual.pos_embed(indices) * weights[:, :, None]).sum(1).to(weight.dtype)
        cos, sin = visual.rotary_pos_emb(learned, get_vision_position_ids(thw, self.merge))
        return learned, cos, sin


def _stacked(parts: Sequence[Tensor], rows: int) -> Tensor:
    """One behind the other, zeros up to so many rows."""
    stacked = torch.cat(list(parts))
    return F.pad(stacked, (0, 0, 0, rows - len(stacked)))
