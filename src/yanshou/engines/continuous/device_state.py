"""What lives on the device: keys and values, the state of every slot, the graph of a step. One shape of launches.

state of a slot    token · rows filled · position · tokens written · limit · at work?
step               every slot at work: one token in, one token out, all in one CUDA graph
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from yanshou.engines.continuous.attention import has_kernel
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.language_model import KVCache, LanguageModel, Last
from yanshou.engines.continuous.prefill_batch import Line, PrefillBatch, Shape, Span, put
from yanshou.engines.continuous.sampler import Sampler
from yanshou.engines.continuous.scheduler import NOTHING
from yanshou.engines.continuous.vision_encoder import VisionTower

PREFIXES = 4  # prompt beginnings whose keys and values are kept

KeysValues = list[tuple[Tensor, Tensor]]  # (tokens, key heads, width) each, a pair a layer


class DeviceState:
    """One shape of launches on one device."""

    def __init__(
        self, tower: VisionTower, language: LanguageModel, choice: Sampler, table: KVCache, shape: Shape,
        stops: Sequence[int],
    ) -> None:  # fmt: skip
        self.tower, self.language, self.choice, self.table, self.shape = tower, language, choice, table, shape
        self.device, dtype = table.keys[0].device, table.keys[0].dtype
        self.has_kernel = has_kernel(self.device, dtype)
        slots = table.slots
        self.token, self.filled, self.position, self.written, self.limit = (self._zeros(slots + 1) for _ in range(5))
        self.working = self._zeros(slots + 1).bool()  # one more than slots: for what nobody reads
        self.emitted, self.slots = self._zeros(slots), torch.arange(slots, device=self.device)
        self.stops = self.put(stops)
        self.shared, self.shared_at = self._zeros(slots + 1).int(), self._zeros(slots + 1)
        self.prefixes: dict[tuple[int, ...], KeysValues] = {}
        self.shares: dict[tuple[int, ...], int] = {}  # row where a prefix lies for all slots
        self.graph: Any = None

    def _zeros(self, count: int) -> Tensor:
        return torch.zeros(count, dtype=torch.long, device=self.device)

    def put(self, numbers: Sequence[int]) -> Tensor:
        """A few numbers on the device, without waiting for it."""
        return put(torch.tensor(numbers, dtype=torch.long), self.device)

    # ---- a pack ----

    def admit(self, pack: PrefillBatch, slots: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """First tokens, one a request and then padding, and ln P (tokens,) of each scored line."""
        pack.await_arrival()
        table, features = self.table, self._features(pack)
        if pack.prefix:
            self._copy_prefix(pack.prefix, slots)
        scratch = table.slots * table.room
        firsts = [slot * table.room for slot in slots]
        firsts += [scratch + start for start, _ in pack.spans[len(slots) :]]
        first = self.put([*firsts, table.waste])  # row of each sequence's first token, prefix included
        keys = [(row, row + length) for row, length in zip(firsts, pack.lengths, strict=True)]
        x, deep = self.language.embed(pack.ids), []
        if features:
            visual, *deep = [_chosen(feature, pack.visual) for feature in features]
            x = torch.where((pack.visual > 0)[:, None], visual, x)
        rows = _padded(first[:-1], self.shape.sequences + 1)
        spans = self._spans(pack.spans, keys, pack.starts, rows, pack.used)
        last = None if pack.lines else self._last(pack, keys, rows)
        hidden = self.language.packed(x, pack.positions, deep, first[pack.owner] + pack.place, spans, table, last)
        return self._begin(pack, slots, hidden if last else hidden[pack.ends]), [
            self._score(pack, at, line, hidden) for at, line in enumerate(pack.lines)
        ]

    def _features(self, pack: PrefillBatch) -> list[Tensor]:
        if pack.pixels is None:
            return []
        spans = self._spans(pack.patch_spans, pack.patch_spans, pack.patch_starts, pack.patch_starts, pack.patch_used)
        return self.tower.features(pack.pixels, pack.grids, spans)

    def _last(self, pack: PrefillBatch, keys: Sequence[Span], rows: Tensor) -> Last:
        """A query each: the prompts' last tokens."""
        prompts = len(pack.prepared)
        starts = torch.arange(self.shape.sequences + 1, dtype=torch.int32, device=self.device).clamp(max=prompts)
        queries = [(number, number + 1) for number in range(prompts)]
        return Last(pack.ends, self._spans(queries, keys, starts, rows, pack.used))

    def _spans(self, queries: Sequence[Span], keys: Sequence[Span], *on_device: Tensor) -> VarlenMetadata:
        return VarlenMetadata(queries, keys, *on_device) if self.has_kernel else VarlenMetadata(queries, keys)

    def _begin(self, pack: PrefillBatch, slots: Sequence[int], ends: Tensor) -> Tensor:
        """The first token of every request, from its prompt's last hidden state, and its slot's state."""
        nobody = self.table.slots
        where = self.put([*slots, *[nobody] * (len(pack.ends) - len(slots))])
        mine = where[: len(slots)]
        self.choice.begin(mine, [one.request.key for one in pack.prepared])
        if self.choice.seen is not None:
            self.choice.remember(self.put([*slots, *[nobody] * (len(pack.lines) + 1)])[pack.owner], pack.ids)
            self.choice.remember(mine.repeat_interleave(len(pack.prefix)), self.put(pack.prefix * len(slots)))
        tokens = self.choice.choose(self.language.logits(ends), where, torch.zeros_like(where))
        limits = self.put([one.max_new_tokens for one in pack.prepared])
        for state, values in (
            (self.token, tokens[: len(slots)]),
            (self.filled, self.put(pack.lengths[: len(slots)])),
            (self.position, self.put(pack.next_positions)),
            (self.written, torch.ones_like(mine)),
            (self.limit, limits),
            (self.shared, torch.full_like(mine, len(pack.prefix) if pack.prefix in self.shares else 0).int()),
            (self.shared_at, torch.full_like(mine, self.shares.get(pack.prefix, 0))),
            (self.working, ~torch.isin(tokens[: len(slots)], self.stops) & (limits > 1)),
        ):
            state.index_copy_(0, mine, values)
        return tokens

    def _score(self, pack: PrefillBatch, at: int, line: Line, hidden: Tensor) -> Tensor:
        """ln P of each token of a scored line."""
        start, end = pack.spans[len(pack.prepared) + at]
        told = self.language.logits(hidden[start + line.first - 1 : end - 1]).float().log_softmax(-1)
        return told.gather(-1, pack.ids[start + line.first : end, None])[:, 0]

    def _copy_prefix(self, prefix: tuple[int, ...], slots: Sequence[int]) -> None:
        if prefix not in self.prefixes:
            if len(self.prefixes) >= PREFIXES:
                del self.prefixes[next(iter(self.prefixes))]
            self.prefixes[prefix] = self._prefix(prefix)
            self._share(prefix)
        where = self.put(slots)
        for number, (keys, values) in enumerate(self.prefixes[prefix]):
            self.table.slot_rows(self.table.keys[number])[where, : len(keys)] = keys
            self.table.slot_rows(self.table.values[number])[where, : len(values)] = values

    def _share(self, prefix: tuple[int, ...]) -> None:
        """Puts a new prefix among those that all slots read in one place, if there is room: it stays for good."""
        table, used = self.table, sum(map(len, self.shares))
        if prefix in self.shares or used + len(prefix) > table.shared:
            return
        start = self.shares[prefix] = table.slots * table.room + table.scratch + used
        for number, (keys, values) in enumerate(self.prefixes[prefix]):
            table.keys[number][start : start + len(keys)] = keys
            table.values[number][start : start + len(values)] = values

    def _prefix(self, prefix: tuple[int, ...]) -> KeysValues:
        """A launch of its own, into a table of its own. Its shape is the prefix's: nobody stands beside it."""
        used = len(prefix)
        table = self.language.table(slots=1, room=used, scratch=0, shared=0)
        places = torch.arange(used, device=self.device)
        spans = self._spans([(0, used)], [(0, used)], *(self.put(ends).int() for ends in ([0, used], [0, 0], [used])))
        x = self.language.embed(self.put(prefix))
        self.language.packed(x, places.expand(3, -1), [], places, spans, table)
        return [(k[:used], v[:used]) for k, v in zip(table.keys, table.values, strict=True)]

    # ---- a step ----

    def step(self) -> Tensor:
        """One token of each slot at work, (slots,); NOTHING of the others."""
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()
        return self.emitted

    def capture(self) -> None:
        """Records the step: after this it is one launch. Nothing may be at work."""
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # libraries choose kernels and reserve memory
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        self.graph = graph

    def _step(self) -> None:
        table, most = self.table, self.table.slots
        working = self.working[:most]
        lengths = torch.where(working, self.filled[:most] + 1, 0).int()
        reach = DecodeMetadata(lengths, self.shared[:most], self.shared_at[:most])
        rows = torch.where(working, self.slots * table.room + self.filled[:most], table.waste)
        logits = self.language.step(self.token[:most], self.position[:most], rows, reach, table)
        tokens = self.choice.choose(logits, self.slots, self.written[:most])
        self.emitted.copy_(torch.where(working, tokens, NOTHING))
        self.token[:most] = torch.where(working, tokens, self.token[:most])
        for counter in (self.filled, self.position, self.written):
            counter[:most] += working
        self.working[:most] = working & ~torch.isin(tokens, self.stops) & (self.written[:most] < self.limit[:most])

    def end(self, slot: int) -> None:
        self.working[slot] = False


def _chosen(feature: Tensor, visual: Tensor) -> Tensor:
    """A row for each token: its visual token's, or zeros."""
    return torch.where((visual > 0)[:, None], feature[(visual - 1).clamp(min=0)], 0)


def _padded(numbers: Tensor, size: int) -> Tensor:
    padded = numbers.new_zeros(size, dtype=torch.int32)
    padded[: len(numbers)] = numbers
    return padded
