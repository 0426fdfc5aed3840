"""The language model over packed prompts and over one token a slot, with keys and values in one table of rows.

row   0 ………… room   ………… 2 × room  …………            slots × room …           last
      ▏slot 0, prefix first▕ slot 1, prefix first▕ …▏  scratch: scored answers ▏ waste
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from yanshou.engines.continuous.attention import decode_attention, packed_attention
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.ops import add_projection, gated, into_table, rms_norm

Joined = tuple[Tensor, Tensor | None]  # weight (outputs of all, inputs) and bias


@dataclass(frozen=True, slots=True)
class KVCache:
    """Keys and values of all slots, (rows, key heads, width) a layer."""

    keys: list[Tensor]
    values: list[Tensor]
    slots: int
    room: int  # rows a slot
    scratch: int  # rows
    shared: int  # rows of prefixes, which the decode steps of all slots read in one place

    @property
    def waste(self) -> int:
        """The row for what nobody will read."""
        return self.slots * self.room + self.scratch + self.shared

    def slot_rows(self, rows: Tensor) -> Tensor:
        """A layer's keys or values by slot: (slots, room, key heads, width)."""
        return rows[: self.slots * self.room].view(self.slots, self.room, *rows.shape[1:])


def joined(*projections: Any) -> Joined:
    """Projections of the same input as one: fewer and larger products. Their own weights become parts of its weight."""
    weight = torch.cat([projection.weight.detach() for projection in projections])
    first = 0
    for projection in projections:
        projection.weight.data = weight[first : first + projection.out_features]
        first += projection.out_features
    biases = [projection.bias.detach() for projection in projections if projection.bias is not None]
    assert len(biases) in {0, len(projections)}
    return weight, torch.cat(biases) if biases else None


@dataclass(frozen=True, slots=True)
class Last:
    """The last token of each prompt."""

    tokens: Tensor  # (sequences,) among the launch's tokens
    spans: VarlenMetadata  # one query each


class LanguageModel:
    """The checkpoint's language model."""

    def __init__(self, model: Any, head: Any) -> None:
        self.model, self.head = model, head
        self._qkv = [joined(at.q_proj, at.k_proj, at.v_proj) for at in (layer.self_attn for layer in model.layers)]
        self._gate_up = [joined(mlp.gate_proj, mlp.up_proj) for mlp in (layer.mlp for layer in model.layers)]

    def table(self, slots: int, room: int, scratch: int, shared: int) -> KVCache:
        """An empty one: zeros, since what was never written is read by nobody but must not be NaN."""
        like, attention = self.model.embed_tokens.weight, self.model.layers[0].self_attn
        shape = (slots * room + scratch + shared + 1, self.model.config.num_key_value_heads, attention.head_dim)
        keys, values = ([like.new_zeros(shape) for _ in self.model.layers] for _ in range(2))
        return KVCache(keys, values, slots, room, scratch, shared)

    def embed(self, ids: Tensor) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        embedded: Tensor = self.model.embed_tokens(ids)
        return embedded

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, hidden) → (rows, vocabulary)."""
        logits: Tensor = self.head(hidden)
        return logits

    def packed(
        self, x: Tensor, positions: Tensor, deep: Sequence[Tensor], rows: Tensor, spans: VarlenMetadata, table: KVCache,
        last: Last | None = None,
    ) -> Tensor:  # fmt: skip
        """Prompts one behind the other: x (tokens, hidden), positions (3, tokens) → hidden states, normed.

        Keys and values go into the table's `rows` (tokens,); `deep` is added behind the first layers. With `last` only
        these tokens' states come out, and of the last layer no more is computed.
        """
        cos, sin = self._angles(x, positions)
        for number, layer in enumerate(self.model.layers):
            q = self._queries(number, layer, x, cos, sin, rows, table)
            if last and number + 1 == len(self.model.layers):
                q, x, spans, deep = q[last.tokens], x[last.tokens], last.spans, [each[last.tokens] for each in deep]
            attended = packed_attention(
                q, table.keys[number], table.values[number], spans, layer.self_attn.scaling, causal=True
            )
            self._finish(number, layer, x, attended)
            if number < len(deep):
                x += deep[number]
        return rms_norm(x, self.model.norm)

    def step(self, ids: Tensor, positions: Tensor, rows: Tensor, reach: DecodeMetadata, table: KVCache) -> Tensor:
        """One token a slot, (slots,) → logits (slots, vocabulary).

        Keys and values go into the table's `rows` (slots,), which are the last that each slot reaches.
        """
        x = self.embed(ids)
        cos, sin = self._angles(x, positions.expand(3, -1))
        for number, layer in enumerate(self.model.layers):
            q = self._queries(number, layer, x, cos, sin, rows, table)
            attended = decode_attention(
                q, table.keys[number], table.values[number], reach, table.room, layer.self_attn.scaling
            )
            self._finish(number, layer, x, attended)
        return self.logits(rms_norm(x, self.model.norm))

    def _queries(
        self, number: int, layer: Any, x: Tensor, cos: Tensor, sin: Tensor, rows: Tensor, table: KVCache
    ) -> Tensor:
        """(rows, heads, width) of one layer; its keys and values go into the table."""
        qkv = F.linear(rms_norm(x, layer.input_layernorm), *self._qkv[number])
        return into_table(qkv, layer.self_attn, cos, sin, rows, table.keys[number], table.values[number])

    def _finish(self, number: int, layer: Any, x: Tensor, attended: Tensor) -> None:
        """The rest of a layer, added to x (rows, hidden) where it lies."""
        add_projection(x, attended, layer.self_attn.o_proj)
        gate_up = F.linear(rms_norm(x, layer.post_attention_layernorm), *self._gate_up[number])
        add_projection(x, gated(gate_up, layer.mlp.act_fn), layer.mlp.down_proj)

    def _angles(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.model.rotary_emb(x, positions[:, None])
        return cos[0].contiguous(), sin[0].contiguous()
