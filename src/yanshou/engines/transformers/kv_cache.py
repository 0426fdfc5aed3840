"""Keys and values of a batch in tensors with room to grow, so that a decode step writes its token in place.

transformers' own cache joins old and new anew in every layer and step: it copies all keys and values, and asks the
allocator for blocks that are a little larger each time.

    keys of a layer   (rows, heads, capacity, width)     ████████████████·······
                                                         prompt       answer  room
"""

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 64  # tokens; a layer that is full gets so many more


class PreallocatedLayer(DynamicLayer):
    """One layer's keys and values, (rows, heads, tokens, width) each: views of tensors that hold more tokens."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Takes what a step adds and returns all there is."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._held = (key_states[:, :, :0], value_states[:, :, :0])
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        keys, values = self._held = (_with_room(self._held[0], start, end), _with_room(self._held[1], start, end))
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Of beams and of assistants, which nothing here asks for: the parent's way would leave the room behind."""
        raise NotImplementedError("rows of a batch stay together")

    batch_repeat_interleave = crop = reset = batch_select_indices


def _with_room(held: Tensor, used: int, wanted: int) -> Tensor:
    """A tensor for `wanted` tokens or more that begins with the `used` ones."""
    rows, heads, capacity, width = held.shape
    if wanted <= capacity:
        return held
    larger = held.new_empty(rows, heads, wanted + GROWTH, width)
    larger[:, :, :used] = held[:, :, :used]
    return larger


def preallocated_cache() -> Cache:
    """An empty cache for one batch."""
    return Cache(layer_class_to_replicate=PreallocatedLayer)
