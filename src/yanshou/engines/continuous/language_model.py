"""The language model over a prefill batch and over one token per slot, with all keys and values in one cache per layer.

row   0 ………… slot_len ………… 2 × slot_len ………  slots × slot_len …………………………………………… last
      ▏slot 0, prefix first▕ slot 1, prefix first▕ …▏  scored continuations  ▏ shared prefixes ▏ null row
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from yanshou.engines.continuous.attention import decode_attention, varlen_attention
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.batch_keys_values import BatchKeysValues
from yanshou.engines.continuous.fp8.activations import FP8, Activations, Fp8Rows
from yanshou.engines.continuous.ops import act_and_mul, qk_norm_rope_cache, rms_norm
from yanshou.engines.continuous.products import LayerProducts, layer_products


@dataclass(frozen=True, slots=True)
class KVCache:
    """Keys and values of all slots, one tensor (cache rows, key heads, head_dim) per layer.

    In FP8 each cache row and key head has a scale from its own head_dim numbers.
    """

    keys: list[Activations]
    values: list[Activations]
    slots: int
    slot_len: int  # rows per slot
    scratch_rows: int  # for scored continuations, overwritten by each prefill batch
    prefix_rows: int  # prefixes that the decode steps of all slots read from one place

    @property
    def scratch_start(self) -> int:
        return self.slots * self.slot_len

    @property
    def prefix_start(self) -> int:
        return self.scratch_start + self.scratch_rows

    @property
    def null_row(self) -> int:
        """The row that padding and inactive slots write to."""
        return self.prefix_start + self.prefix_rows

    @property
    def in_fp8(self) -> bool:
        return isinstance(self.keys[0], Fp8Rows)

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of this layer, which are not in FP8."""
        keys, values = self.keys[index], self.values[index]
        assert isinstance(keys, Tensor)
        assert isinstance(values, Tensor)
        return keys, values

    def by_slot(self, layer_cache: Activations) -> Activations:
        """A layer's keys or values as (slots, slot_len, key heads, head_dim)."""
        return layer_cache[: self.scratch_start].unflatten(0, (self.slots, self.slot_len))


@dataclass(frozen=True, slots=True)
class LogitsIndices:
    """The last token of each prompt: all that the last layer computes when nothing else is needed."""

    tokens: Tensor  # (sequences,) indices among the batch's tokens
    metadata: VarlenMetadata  # one query per prompt


def zero_fp8_rows(shape: tuple[int, int, int], device: torch.device) -> Fp8Rows:
    """Zeros of shape (cache rows, key heads, head_dim). The scales of one head lie side by side."""
    rows, key_heads, _ = shape
    scales = torch.zeros(key_heads, rows, 1, device=device).transpose(0, 1)
    return Fp8Rows(torch.zeros(shape, dtype=FP8, device=device), scales)


class LanguageModel:
    """The checkpoint's language model."""

    def __init__(self, model: Any, head: Any) -> None:
        self.model, self.head = model, head
        self._products = [layer_products(layer) for layer in model.layers]

    @property
    def dtype(self) -> torch.dtype:
        """Of the embeddings, and so of all that is not in FP8."""
        dtype: torch.dtype = self.model.embed_tokens.weight.dtype
        return dtype

    def new_cache(self, slots: int, slot_len: int, scratch_rows: int, prefix_rows: int, fp8: bool = False) -> KVCache:
        """An empty cache. Zeros, because attention multiplies unwritten rows by 0 and 0 × NaN is NaN."""
        like, attention = self.model.embed_tokens.weight, self.model.layers[0].self_attn
        rows = slots * slot_len + scratch_rows + prefix_rows + 1
        shape = (rows, self.model.config.num_key_value_heads, attention.head_dim)
        empty = zero_fp8_rows if fp8 else like.new_zeros
        keys, values = ([empty(shape, device=like.device) for _ in self.model.layers] for _ in range(2))
        return KVCache(keys, values, slots, slot_len, scratch_rows, prefix_rows)

    def embed(self, ids: Tensor) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        embedded: Tensor = self.model.embed_tokens(ids)
        return embedded

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, hidden) → (rows, vocabulary)."""
        logits: Tensor = self.head(hidden)
        return logits

    def prefill(
        self, x: Tensor, positions: Tensor, deepstack_features: Sequence[Tensor], slot_mapping: Tensor,
        metadata: VarlenMetadata, cache: KVCache, batch_kv: BatchKeysValues | None = None,
        logits_indices: LogitsIndices | None = None,
    ) -> Tensor:  # fmt: skip
        """Concatenated prompts: x (tokens, hidden), positions (3, tokens) → normalized hidden states.

        Keys and values go to the cache rows `slot_mapping` (tokens,). Beside a cache in FP8 they also go to `batch_kv`,
        which attention then reads and whose rows the metadata mean. The output of layer i gets
        `deepstack_features[i]` (tokens, hidden) added. With `logits_indices` the last layer computes only those tokens,
        and only their states are returned.
        """
        cos, sin = self._rope_cos_sin(x, positions)
        pending: Tensor | None = None  # the output of the product before, which the next norm adds to x
        for index, (layer, products) in enumerate(zip(self.model.layers, self._products, strict=True)):
            q = self._queries(index, products, x, pending, cos, sin, slot_mapping, cache, batch_kv)
            if logits_indices and index + 1 == len(self.model.layers):
                tokens, metadata = logits_indices.tokens, logits_indices.metadata
                q, x, deepstack_features = q[tokens], x[tokens], [each[tokens] for each in deepstack_features]
            keys, values = (batch_kv or cache).layer(index)
            attended = varlen_attention(q, keys, values, metadata, layer.self_attn.scaling, causal=True)
            pending = self._finish_layer(layer, products, x, attended)
            if index < len(deepstack_features):
                x += deepstack_features[index]
        return rms_norm(x, self.model.norm, pending)

    def decode(
        self, ids: Tensor, positions: Tensor, slot_mapping: Tensor, metadata: DecodeMetadata, cache: KVCache
    ) -> Tensor:
        """One token per slot, (slots,) → logits (slots, vocabulary).

        Keys and values go to the cache rows `slot_mapping` (slots,), each the last row of its slot's context.
        """
        x = self.embed(ids)
        cos, sin = self._rope_cos_sin(x, positions.expand(3, -1))
        pending: Tensor | None = None
        for index, (layer, products) in enumerate(zip(self.model.layers, self._products, strict=True)):
            q = self._queries(index, products, x, pending, cos, sin, slot_mapping, cache)
            attended = decode_attention(
                q, cache.keys[index], cache.values[index], metadata, cache.slot_len, layer.self_attn.scaling
            )
            pending = self._finish_layer(layer, products, x, attended)
        return self.logits(rms_norm(x, self.model.norm, pending))

    def _queries(
        self, index: int, products: LayerProducts, x: Tensor, pending: Tensor | None, cos: Tensor, sin: Tensor,
        slot_mapping: Tensor, cache: KVCache, batch_kv: BatchKeysValues | None = None,
    ) -> Tensor:  # fmt: skip
        """A layer's queries (rows, heads, head_dim); its keys and values go to the cache. Adds `pending` to x."""
        layer = self.model.layers[index]
        qkv = products.qkv(rms_norm(x, layer.input_layernorm, pending, products.qkv.takes_fp8))
        keys, values = cache.keys[index], cache.values[index]
        return qk_norm_rope_cache(qkv, layer.self_attn, cos, sin, slot_mapping, keys, values, batch_kv)

    def _finish_layer(self, layer: Any, products: LayerProducts, x: Tensor, attended: Tensor) -> Tensor | None:
        """Output projection and MLP of a layer, added to x (rows, hidden) in place.

        Returns what is still to be added: the output of an MLP in FP8.
        """
        pending = products.o.residual(x, attended)
        normed = rms_norm(x, layer.post_attention_layernorm, pending, products.gate_up.takes_fp8)
        intermediate = act_and_mul(products.gate_up(normed), layer.mlp.act_fn, products.down.takes_fp8)
        return products.down.residual(x, intermediate)

    def _rope_cos_sin(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (3, rows) → cosines and sines (rows, head_dim)."""
        cos, sin = self.model.rotary_emb(x, positions[:, None])
        return cos[0].contiguous(), sin[0].contiguous()
