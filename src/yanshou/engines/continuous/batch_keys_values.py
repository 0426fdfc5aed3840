"""Keys and values of a prefill batch in 16 bits, one layer after another, where those in the cache are in FP8.

row   0 ……………………………………………………………………………………………………………………… last
      ▏prefix, prompt 0 ▕ prefix, prompt 1 ▕ … ▏ scored continuations ▏ padding ▕

Attention in prefill reads these and not the rounded ones of the cache: it is as fast as with a cache in 16 bits, and
what a prefill computes is the same to the last bit.
"""

from dataclasses import dataclass

from torch import Tensor

KeysValues = list[tuple[Tensor, Tensor]]  # per layer, (tokens, key heads, head_dim) each


@dataclass(frozen=True, slots=True)
class BatchKeysValues:
    """Rows for one layer. The content of rows that no token or prefix belongs to is undefined."""

    keys: Tensor  # (rows, key heads, head_dim)
    values: Tensor
    slot_mapping: Tensor  # (tokens,) the row of each token of the batch
    prefix_rows: Tensor  # (requests, prefix tokens)
    prefix: KeysValues  # of the tokens that all prompts begin with

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of this layer: the prefix's before its prompts, those of the tokens as they were written."""
        if self.prefix_rows.numel():
            self.keys[self.prefix_rows], self.values[self.prefix_rows] = self.prefix[index]
        return self.keys, self.values
