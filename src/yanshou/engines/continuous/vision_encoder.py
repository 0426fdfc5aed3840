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
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from yanshou.engines.continuous.attention import packed_attention
from yanshou.engines.continuous.attention_metadata import VarlenMetadata
from yanshou.engines.continuous.ops import activated, add_product, layer_norm, turned

SIZES = 64  # photo sizes whose positions are kept; a few MB each

Grid = tuple[int, int]  # rows and columns of patches


class VisionTower:
    """The checkpoint's vision tower. `numbers` makes bytes into what it reads."""

    def __init__(self, visual: Any, numbers: Callable[[Tensor], Tensor]) -> None:
        self.visual, self.numbers, self.merge = visual, numbers, visual.spatial_merge_size
        self._place = lru_cache(maxsize=SIZES)(self._places)

    def features(self, pixels: Tensor, grids: Sequence[Grid], spans: VarlenMetadata) -> list[Tensor]:
        """The visual tokens, then what DeepStack adds to them behind each early layer, (tokens, hidden) each.

        Rows of `pixels` behind the last photo are padding, and so are those of the result.
        """
        visual = self.visual
        embed = visual.patch_embed.proj  # a convolution whose steps do not overlap is a matrix product
        x = F.linear(self.numbers(pixels), embed.weight.view(embed.out_channels, -1))
        places, cos, sin = (_stacked(parts, len(x)) for parts in zip(*map(self._place, grids), strict=True))
        x += places
        deep, bias = [], embed.bias  # of the product before, which the next norm adds
        for number, block in enumerate(visual.blocks):
            attention, mlp = block.attn, block.mlp
            qkv = attention.qkv(layer_norm(x, block.norm1, bias))
            q, k, v = turned(qkv, attention.num_heads, cos, sin)
            add_product(x, packed_attention(q, k, v, spans, attention.scaling, causal=False), attention.proj.weight)
            wide = activated(layer_norm(x, block.norm2, attention.proj.bias), mlp.linear_fc1, mlp.act_fn)
            add_product(x, wide, mlp.linear_fc2.weight)
            bias = mlp.linear_fc2.bias
            if number in visual.deepstack_visual_indexes:
                merger = visual.deepstack_merger_list[visual.deepstack_visual_indexes.index(number)]
                deep.append(merger(x + bias))
        return [visual.merger(x + bias), *deep]

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
