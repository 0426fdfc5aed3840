"""The vision tower over the photos of a prefill batch: (patches, 768) bytes → one row per visual token.

The checkpoint's own modules do the work. Only the path to attention is written here, because transformers runs the
photos one after another. What depends on a photo's size alone (positions, rotary angles) is kept for recent sizes.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from yanshou.engines.continuous.attention import varlen_attention
from yanshou.engines.continuous.attention_metadata import VarlenMetadata
from yanshou.engines.continuous.ops import apply_rope_, layer_norm
from yanshou.engines.continuous.products import BlockProducts, block_products

CACHED_SIZES = 64  # photo sizes whose positions are kept; a few MB each

Grid = tuple[int, int]  # rows and columns of patches


class VisionTower:
    """The checkpoint's vision tower. `normalize` turns patches of bytes into its pixel values."""

    def __init__(self, visual: Any, normalize: Callable[[Tensor], Tensor]) -> None:
        self.visual, self.normalize, self.merge_size = visual, normalize, visual.spatial_merge_size
        self._products = [block_products(block) for block in visual.blocks]
        self._positions = lru_cache(maxsize=CACHED_SIZES)(self._compute_positions)

    def features(self, pixels: Tensor, grids: Sequence[Grid], metadata: VarlenMetadata) -> list[Tensor]:
        """The visual tokens, then DeepStack's additions to the first text layers: (visual tokens, hidden) each.

        Rows of `pixels` after the last photo are padding, and so are the corresponding rows of the result.
        """
        visual = self.visual
        patch_embed = visual.patch_embed.proj  # a convolution whose steps do not overlap is a matrix product
        x = F.linear(self.normalize(pixels), patch_embed.weight.view(patch_embed.out_channels, -1))
        per_photo = zip(*map(self._positions, grids), strict=True)
        learned, cos, sin = (_concat_padded(parts, len(x)) for parts in per_photo)
        x += learned
        deepstack_features, residual_bias = [], patch_embed.bias  # the next norm adds the bias of the product before
        pending: Tensor | None = None  # … and its output, if that is in FP8
        for index, (block, products) in enumerate(zip(visual.blocks, self._products, strict=True)):
            pending = self._attend(block, products, x, residual_bias, pending, cos, sin, metadata)
            normed = layer_norm(x, block.norm2, block.attn.proj.bias, pending, products.fc1.takes_fp8)
            pending = products.fc2.residual(x, products.fc1.gelu(normed, block.mlp.act_fn))
            residual_bias = block.mlp.linear_fc2.bias
            if index in visual.deepstack_visual_indexes:
                merger = visual.deepstack_merger_list[visual.deepstack_visual_indexes.index(index)]
                deepstack_features.append(merger(_completed(x, residual_bias, pending)))
        return [visual.merger(_completed(x, residual_bias, pending)), *deepstack_features]

    def _attend(
        self, block: Any, products: BlockProducts, x: Tensor, residual_bias: Tensor, pending: Tensor | None,
        cos: Tensor, sin: Tensor, metadata: VarlenMetadata,
    ) -> Tensor | None:  # fmt: skip
        """The attention of a block, added to x (patches, hidden) in place, or returned for the next norm to add."""
        attention = block.attn
        qkv = products.qkv(layer_norm(x, block.norm1, residual_bias, pending, products.qkv.takes_fp8))
        q, k, v = apply_rope_(qkv, attention.num_heads, cos, sin)
        return products.proj.residual(x, varlen_attention(q, k, v, metadata, attention.scaling, causal=False))

    def _compute_positions(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Learned positions (patches, hidden), cosines and sines (patches, head_dim) of a photo of this size."""
        visual = self.visual
        weight = visual.pos_embed.weight
        grid_thw = torch.tensor([[1, *grid]], device=weight.device)
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid_thw, num_grid_per_side=visual.num_grid_per_side, mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners, spatial_merge_size=self.merge_size,
        )  # fmt: skip
        learned = (visual.pos_embed(indices) * weights[:, :, None]).sum(1).to(weight.dtype)
        cos, sin = visual.rotary_pos_emb(learned, get_vision_position_ids(grid_thw, self.merge_size))
        return learned, cos, sin


def _concat_padded(parts: Sequence[Tensor], rows: int) -> Tensor:
    """The parts concatenated, followed by zeros up to `rows` rows."""
    joined = torch.cat(list(parts))
    return F.pad(joined, (0, 0, 0, rows - len(joined)))


def _completed(x: Tensor, residual_bias: Tensor, pending: Tensor | None) -> Tensor:
    """x (patches, hidden) as the next norm would see it; x stays."""
    return x + residual_bias if pending is None else (x + pending).add_(residual_bias)
