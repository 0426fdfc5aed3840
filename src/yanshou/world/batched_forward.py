"""The model's own forward pass for training, without its loops over photos.

Photos of one size with one prompt have one layout: the same patches, the same token positions in every row. So the
vision tower takes all photos in one attention call, rotary angles are computed once for all rows, visual embeddings go
in by slicing, and rows padded on the right need no mask. `tests/world/test_fast.py` holds it against
`Qwen3VLForConditionalGeneration.forward`. Weights and modules are the model's; nothing here is saved.
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
    x = x.permute(0, 1, 4, 2, 5, 7, 3, 6)  # rows and columns of merged blocks, then the block's patches, then pixels
    x = x.reshape(batch, -1, channels, 1, PATCH, PATCH).expand(-1, -1, -1, TEMPORAL, -1, -1)
    return x.reshape(batch, -1, channels * TEMPORAL * PATCH * PATCH).float() / 127.5 - 1.0


class BatchedForward(torch.nn.Module):
    """Logits of a batch of one layout. Shapes in comments: b rows, p patches, v visual tokens, t tokens."""

    def __init__(self, model: "Qwen3VLForConditionalGeneration") -> None:
        super().__init__()
        self.model = model
        self.visual, self.language = model.model.visual, model.model.language_model
        self.image_token: int = model.config.image_token_id

    def forward(self, ids: Tensor, start: int, photos: Tensor | None, answer_from: int) -> Tensor:
        """Logits (b, t − answer_from, vocabulary) of ids (b, t); visual tokens begin at `start` in every row."""
        x = self.language.embed_tokens(ids)  # (b, t, hidden)
        deep: list[Tensor] = []
        if photos is None:
            position = torch.arange(ids.shape[1], device=ids.device).expand(3, -1)
        else:
            grid = (photos.shape[1] // PATCH, photos.shape[2] // PATCH)
            seen, deep = self._see(patches(photos), grid)
            x = torch.cat([x[:, :start], seen.to(x.dtype), x[:, start + seen.shape[1] :]], dim=1)
            position = self._positions(ids.shape[1], start, grid, ids.device)
        rotary = self.language.rotary_emb(x, position[:, None])  # cos, sin: (1, t, head)
        for index, layer in enumerate(self.language.layers):
            x = layer(x, position_embeddings=rotary, attention_mask=None)
            if index < len(deep):
                end = start + deep[index].shape[1]
                x = torch.cat([x[:, :start], x[:, start:end] + deep[index], x[:, end:]], dim=1)
        logits: Tensor = self.model.lm_head(self.language.norm(x[:, answer_from:]))
        return logits

    def _see(self, pixels: Tensor, grid: tuple[int, int]) -> tuple[Tensor, list[Tensor]]:
        """Visual tokens (b, v, hidden) and the DeepStack features that the first language layers add."""
        batch, count, _ = pixels.shape
        x = self.visual.patch_embed(pixels.flatten(0, 1)).view(batch, count, -1)
        x = x + self._place(grid)
        cos, sin = self._rotary(grid, x.device)
        deep = []
        for index, block in enumerate(self.visual.blocks):
            x = x + self._attend(block.attn, block.norm1(x), cos, sin)
            x = x + block.mlp(block.norm2(x))
            if index in self.visual.deepstack_visual_indexes:
                merger = self.visual.deepstack_merger_list[list(self.visual.deepstack_visual_indexes).index(index)]
                deep.append(merger(x.flatten(0, 1)).view(batch, count // MERGE**2, -1))
        return self.visual.merger(x.flatten(0, 1)).view(batch, count // MERGE**2, -1), deep

    def _attend(self, attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, count, width = x.shape
        q, k, v = attention.qkv(x).view(batch, count, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (_turned(part.float(), cos, sin).to(v.dtype) for part in (q, k))
        out = F.scaled_dot_product_attention(q, k, v, scale=attention.scaling)
        projected: Tensor = attention.proj(out.transpose(1, 2).reshape(batch, count, width))
        return projected

    def _place(self, grid: tuple[int, int]) -> Tensor:
        """The learned square of position embeddings, stretched over the photo's patches: (p, width)."""
        weight = self.visual.pos_embed.weight
        side = int(weight.shape[0] ** 0.5)
        square = weight.view(1, side, side, -1).permute(0, 3, 1, 2).float()
        stretched = F.interpolate(square, size=grid, mode="bilinear", align_corners=True)[0].permute(1, 2, 0)
        return _merged_order(stretched).to(weight.dtype)

    def _rotary(self, grid: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        rows, columns = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing="ij")
        place = _merged_order(torch.stack([rows, columns], dim=-1))  # (p, 2)
        inverse = self.visual.rotary_pos_emb.inv_freq.float()
        angles = (place[:, :, None] * inverse).flatten(1)  # (p, head / 2): rows' angles, then columns'
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos(), angles.sin()

    def _positions(self, length: int, start: int, grid: tuple[int, int], device: torch.device) -> Tensor:
        """Temporal, row and column positions (3, t): text counts on, a photo spans its larger side."""
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


def _merged_order(x: Tensor) -> Tensor:
    """(rows, columns, …) → (patches, …), the 2 × 2 patches of one visual token side by side."""
    rows, columns, depth = x.shape
    x = x.view(rows // MERGE, MERGE, columns // MERGE, MERGE, depth)
    return x.permute(0, 2, 1, 3, 4).reshape(-1, depth)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin
