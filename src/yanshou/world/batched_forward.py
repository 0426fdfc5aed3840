"""A forward pass of Qwen3-VL for training, batched over photos of one size.

Why a third implementation: training needs autograd, which the continuous engine's in-place forward pass does not
support, and transformers' own runs the vision tower's attention photo by photo. Photos of one size with one prompt have
one layout, with the same patches and token positions in every row. So one attention call takes all photos, rotary
angles are computed once for all rows, visual embeddings are inserted by slicing, and rows padded on the right need no
mask. The modules and weights are those of the model. `tests/world/test_batched_forward.py` compares the logits with
those of `Qwen3VLForConditionalGeneration.forward`.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

PATCH, MERGE, TEMPORAL = 16, 2, 2


def patches(photos: Tensor) -> Tensor:
    """uint8 (batch, height, width, 3) → float (batch, patches, 1536), in the image processor's order and scale."""
    batch, height, width, channels = photos.shape
    block = PATCH * MERGE
    x = photos.view(batch, height // block, MERGE, PATCH, width // block, MERGE, PATCH, channels)
    x = x.permute(0, 1, 4, 2, 5, 7, 3, 6)  # rows and columns of blocks, then the block's patches, then pixels
    x = x.reshape(batch, -1, channels, 1, PATCH, PATCH).expand(-1, -1, -1, TEMPORAL, -1, -1)
    return x.reshape(batch, -1, channels * TEMPORAL * PATCH * PATCH).float() / 127.5 - 1.0


class BatchedForward(torch.nn.Module):
    """Logits of a batch of one layout. Shapes in comments: b rows, p patches, v visual tokens, t tokens per row."""

    def __init__(self, model: "Qwen3VLForConditionalGeneration") -> None:
        super().__init__()
        self.model = model
        self.visual, self.language = model.model.visual, model.model.language_model
        self.image_token: int = model.config.image_token_id

    def forward(self, ids: Tensor, start: int, photos: Tensor | None, answer_from: int) -> Tensor:
        """Logits (b, t − answer_from, vocabulary) of ids (b, t); visual tokens begin at `start` in every row."""
        x = self.language.embed_tokens(ids)  # (b, t, hidden)
        deepstack: list[Tensor] = []
        if photos is None:
            position = torch.arange(ids.shape[1], device=ids.device).expand(3, -1)
        else:
            grid = (photos.shape[1] // PATCH, photos.shape[2] // PATCH)
            visual, deepstack = self._encode(patches(photos), grid)
            x = torch.cat([x[:, :start], visual.to(x.dtype), x[:, start + visual.shape[1] :]], dim=1)
            position = self._positions(ids.shape[1], start, grid, ids.device)
        rotary = self.language.rotary_emb(x, position[:, None])  # cos, sin: (1, t, head)
        for index, layer in enumerate(self.language.layers):
            x = layer(x, position_embeddings=rotary, attention_mask=None)
            if index < len(deepstack):
                end = start + deepstack[index].shape[1]
                x = torch.cat([x[:, :start], x[:, start:end] + deepstack[index], x[:, end:]], dim=1)
        logits: Tensor = self.model.lm_head(self.language.norm(x[:, answer_from:]))
        return logits

    def _encode(self, pixels: Tensor, grid: tuple[int, int]) -> tuple[Tensor, list[Tensor]]:
        """Visual tokens (b, v, hidden) and the DeepStack features that the first language layers add."""
        batch, count, _ = pixels.shape
        x = self.visual.patch_embed(pixels.flatten(0, 1)).view(batch, count, -1)
        x = x + self._position_embeddings(grid)
        cos, sin = self._rotary(grid, x.device)
        deepstack = []
        for index, block in enumerate(self.visual.blocks):
            x = x + self._attention(block.attn, block.norm1(x), cos, sin)
            x = x + block.mlp(block.norm2(x))
            if index in self.visual.deepstack_visual_indexes:
                merger = self.visual.deepstack_merger_list[list(self.visual.deepstack_visual_indexes).index(index)]
                deepstack.append(merger(x.flatten(0, 1)).view(batch, count // MERGE**2, -1))
        return self.visual.merger(x.flatten(0, 1)).view(batch, count // MERGE**2, -1), deepstack

    def _attention(self, attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, count, width = x.shape
        q, k, v = attention.qkv(x).view(batch, count, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (_rotate(x.float(), cos, sin).to(v.dtype) for x in (q, k))
        out = F.scaled_dot_product_attention(q, k, v, scale=attention.scaling)
        projected: Tensor = attention.proj(out.transpose(1, 2).reshape(batch, count, width))
        return projected

    def _position_embeddings(self, grid: tuple[int, int]) -> Tensor:
        """The learned square of position embeddings, interpolated to the photo's patches: (p, width)."""
        weight = self.visual.pos_embed.weight
        side = int(weight.shape[0] ** 0.5)
        square = weight.view(1, side, side, -1).permute(0, 3, 1, 2).float()
        resized = F.interpolate(square, size=grid, mode="bilinear", align_corners=True)[0].permute(1, 2, 0)
        return _in_blocks(resized).to(weight.dtype)

    def _rotary(self, grid: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin of the patches' rotary angles, each (p, head)."""
        rows, columns = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing="ij")
        positions = _in_blocks(torch.stack([rows, columns], dim=-1))  # (p, 2)
        inverse = self.visual.rotary_pos_emb.inv_freq.float()
        angles = (positions[:, :, None] * inverse).flatten(1)  # (p, head / 2): angles of the row, then of the column
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos(), angles.sin()

    def _positions(self, length: int, start: int, grid: tuple[int, int], device: torch.device) -> Tensor:
        """Temporal, row and column positions (3, t). Text behind a photo starts after the photo's larger side."""
        rows, columns = grid[0] // MERGE, grid[1] // MERGE
        block = torch.stack(
            [
                torch.zeros(rows * columns, device=device, dtype=torch.long),
                torch.arange(rows, device=device).repeat_interleave(columns),
                torch.arange(columns, device=device).repeat(rows),
            ]
        )
        after = torch.arange(length - start - rows * columns, device=device).expand(3, -1) + start + max(rows, columns)
        return torch.cat([torch.arange(start, device=device).expand(3, -1), block + start, after], dim=1)


def _in_blocks(x: Tensor) -> Tensor:
    """(rows, columns, …) → (patches, …), ordered so that the 2 × 2 patches of a visual token are consecutive."""
    rows, columns, depth = x.shape
    x = x.view(rows // MERGE, MERGE, columns // MERGE, MERGE, depth)
    return x.permute(0, 2, 1, 3, 4).reshape(-1, depth)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin
