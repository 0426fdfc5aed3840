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
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb

from yanshou.engines.continuous.attention import Reach, Spans, decode_attention, packed_attention
from yanshou.engines.continuous.tower import Wrap

Joined = tuple[Tensor, Tensor | None]  # weight (outputs of all, inputs) and bias


@dataclass(frozen=True, slots=True)
class Table:
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


def into_attention(layer: Any, qkv: Joined, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (rows, heads, width), keys and values (rows, key heads, width) of one layer."""
    attention, h = layer.self_attn, layer.input_layernorm(x)
    outputs = [attention.q_proj.out_features, attention.k_proj.out_features, attention.v_proj.out_features]
    q, k, v = torch.split(F.linear(h, *qkv), outputs, dim=-1)
    shape = (x.shape[0], -1, attention.head_dim)
    q, k = attention.q_norm(q.reshape(shape)), attention.k_norm(k.reshape(shape))
    q, k = apply_rotary_pos_emb(q, k, cos, sin, unsqueeze_dim=1)
    return q, k, v.view(shape)


def out_of_attention(layer: Any, gate_up: Joined, x: Tensor, attended: Tensor) -> Tensor:
    """The layer's result, (rows, hidden)."""
    x = x + layer.self_attn.o_proj(attended.reshape(x.shape[0], -1))
    gate, up = F.linear(layer.post_attention_layernorm(x), *gate_up).chunk(2, dim=-1)
    result: Tensor = x + layer.mlp.down_proj(layer.mlp.act_fn(gate) * up)
    return result


class LanguageModel:
    """The checkpoint's language model. `wrap` compiles the parts that are worth it, or does nothing."""

    def __init__(self, model: Any, head: Any, wrap: Wrap) -> None:
        self.model, self.head = model, head
        self._into, self._out_of = wrap(into_attention), wrap(out_of_attention)
        self._qkv = [joined(at.q_proj, at.k_proj, at.v_proj) for at in (layer.self_attn for layer in model.layers)]
        self._gate_up = [joined(mlp.gate_proj, mlp.up_proj) for mlp in (layer.mlp for layer in model.layers)]

    def table(self, slots: int, room: int, scratch: int, shared: int) -> Table:
        """An empty one: zeros, since what was never written is read by nobody but must not be NaN."""
        like, attention = self.model.embed_tokens.weight, self.model.layers[0].self_attn
        shape = (slots * room + scratch + shared + 1, self.model.config.num_key_value_heads, attention.head_dim)
        keys, values = ([like.new_zeros(shape) for _ in self.model.layers] for _ in range(2))
        return Table(keys, values, slots, room, scratch, shared)

    def embed(self, ids: Tensor) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        embedded: Tensor = self.model.embed_tokens(ids)
        return embedded

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, hidden) → (rows, vocabulary)."""
        logits: Tensor = self.head(hidden)
        return logits

    def packed(
        self, x: Tensor, positions: Tensor, deep: Sequence[Tensor], rows: Tensor, spans: Spans, table: Table
    ) -> Tensor:
        """Prompts one behind the other: x (tokens, hidden), positions (3, tokens) → hidden states, normed.

        Keys and values go into the table's `rows` (tokens,); `deep` is added behind the first layers.
        """
        cos, sin = self._angles(x, positions)
        for number, layer in enumerate(self.model.layers):
            q, k, v = self._into(layer, self._qkv[number], x, cos, sin)
            table.keys[number].index_copy_(0, rows, k)
            table.values[number].index_copy_(0, rows, v)
            attended = packed_attention(
                q, table.keys[number], table.values[number], spans, layer.self_attn.scaling, causal=True
            )
            x = self._out_of(layer, self._gate_up[number], x, attended)
            if number < len(deep):
                x = x + deep[number]
        normed: Tensor = self.model.norm(x)
        return normed

    def step(self, ids: Tensor, positions: Tensor, reach: Reach, table: Table) -> Tensor:
        """One token a slot, (slots,) → logits (slots, vocabulary). What each reaches includes this token."""
        x = self.embed(ids)
        cos, sin = self._angles(x, positions.expand(3, -1))
        for number, layer in enumerate(self.model.layers):
            q, k, v = self._into(layer, self._qkv[number], x, cos, sin)
            attended = decode_attention(
                q.contiguous(),
                k,
                v,
                table.keys[number],
                table.values[number],
                reach,
                table.room,
                layer.self_attn.scaling,
            )
            x = self._out_of(layer, self._gate_up[number], x, attended)
        return self.logits(self.model.norm(x))

    def _angles(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.model.rotary_emb(x, positions[:, None])
        return cos[0], sin[0]
