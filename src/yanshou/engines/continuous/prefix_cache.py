"""Keys and values of the prefixes that prompts begin with, computed once per prefix.

copied    to the beginning of every slot whose prompt has the prefix
shared    while there is room, also to cache rows that the decode steps of all these slots read instead of the copy
"""

from collections.abc import Sequence

import torch

from yanshou.engines.continuous.attention_metadata import VarlenMetadata
from yanshou.engines.continuous.batch_keys_values import KeysValues
from yanshou.engines.continuous.capacity import MAX_PREFIXES
from yanshou.engines.continuous.fp8.activations import put
from yanshou.engines.continuous.language_model import KVCache, LanguageModel
from yanshou.engines.continuous.transfer import integers

Prefix = tuple[int, ...]  # token ids


class PrefixCache:
    """The most recent prefixes of one KV cache."""

    def __init__(self, language: LanguageModel, cache: KVCache, has_varlen_kernel: bool) -> None:
        self.language, self.cache, self.has_varlen_kernel = language, cache, has_varlen_kernel
        self.device = cache.keys[0].device
        self._computed: dict[Prefix, KeysValues] = {}  # in 16 bits
        self._first_rows: dict[Prefix, int] = {}  # first cache row of each shared prefix, which stays for good

    def __len__(self) -> int:
        return len(self._computed)

    def keys_values(self, prefix: Prefix) -> KeysValues:
        """Those of a prefix in 16 bits, whatever the cache is in; computed if the prefix is new."""
        if prefix not in self._computed:
            if len(self._computed) >= MAX_PREFIXES:
                del self._computed[next(iter(self._computed))]
            self._computed[prefix] = self._compute(prefix)
            self._share(prefix)
        return self._computed[prefix]

    def copy_to_slots(self, prefix: Prefix, slots: Sequence[int]) -> None:
        """Copies a prefix's keys and values to the beginning of these slots, if anything reads them there."""
        keys_values = self.keys_values(prefix)
        if self.cache.in_fp8 and self.has_varlen_kernel and prefix in self._first_rows:
            return  # prefill does not read the cache, and the decode kernel reads the shared rows
        rows, cache = integers(slots, self.device), self.cache
        for layer, (keys, values) in enumerate(keys_values):
            put(cache.by_slot(cache.keys[layer]), (rows, slice(len(keys))), keys)
            put(cache.by_slot(cache.values[layer]), (rows, slice(len(values))), values)

    def shared_rows(self, prefix: Prefix) -> tuple[int, int]:
        """Length and first cache row of a shared prefix; (0, 0) if it is not shared."""
        return (len(prefix), self._first_rows[prefix]) if prefix in self._first_rows else (0, 0)

    def _share(self, prefix: Prefix) -> None:
        """Copies a new prefix to the shared rows if there is room."""
        cache, used = self.cache, sum(map(len, self._first_rows))
        if prefix in self._first_rows or used + len(prefix) > cache.prefix_rows:
            return
        start = self._first_rows[prefix] = cache.prefix_start + used
        for layer, (keys, values) in enumerate(self._computed[prefix]):
            put(cache.keys[layer], slice(start, start + len(keys)), keys)
            put(cache.values[layer], slice(start, start + len(values)), values)

    def _compute(self, prefix: Prefix) -> KeysValues:
        """A prefill of the prefix alone, into a cache of its own: the shape of its products depends on nothing else."""
        length = len(prefix)
        cache = self.language.new_cache(slots=1, slot_len=length, scratch_rows=0, prefix_rows=0)
        rows = torch.arange(length, device=self.device)
        on_device = [integers(numbers, self.device).int() for numbers in ([0, length], [0, 0], [length])]
        metadata = VarlenMetadata([(0, length)], [(0, length)], *(on_device if self.has_varlen_kernel else ()))
        x = self.language.embed(integers(prefix, self.device))
        self.language.prefill(x, rows.expand(3, -1), [], rows, metadata, cache)
        return [(keys[:length], values[:length]) for keys, values in map(cache.layer, range(len(cache.keys)))]
