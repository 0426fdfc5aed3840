"""Keys and values of a batch in tensors with spare capacity, so that a decode step writes its token in place.

transformers' own cache concatenates old and new in every layer and step: it copies all keys and values, and asks the
allocator for ever larger blocks.

    keys of a layer   (rows, heads, capacity, width)     ████████████████·······
                                                         prompt, answer   spare
"""

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 64  # tokens of spare capacity that a full layer gets


class PreallocatedLayer(DynamicLayer):
    """One layer's keys and values, (rows, heads, tokens, width) each: views of tensors that have room for more."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends the keys and values of a step; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._allocated = (key_states[:, :, :0], value_states[:, :, :0])
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        self._allocated = (_grown(self._allocated[0], start, end), _grown(self._allocated[1], start, end))
        keys, values = self._allocated
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Not supported: only beam search and assisted decoding need it, and the parent's would drop the capacity."""
        raise NotImplementedError("rows of a batch stay together")

    batch_repeat_interleave = crop = reset = batch_select_indices


def _grown(allocated: Tensor, used: int, needed: int) -> Tensor:
    """A tensor for at least `needed` tokens that begins with the `used` tokens of `allocated`."""
    rows, heads, capacity, width = allocated.shape
    if needed <= capacity:
        return allocated
    larger = allocated.new_empty(rows, heads, needed + GROWTH, width)
    larger[:, :, :used] = allocated[:, :, :used]
    return larger


def preallocated_cache() -> Cache:
    """An empty cache for one batch."""
    return Cache(layer_class_to_replicate=PreallocatedLayer)
