"""Where the queries and keys of each sequence lie: what attention needs to know besides Q, K and V."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class VarlenMetadata:
    """Where the queries and the keys of each sequence lie."""

    queries: Sequence[tuple[int, int]]  # first row and the one behind the last
    keys: Sequence[tuple[int, int]]
    starts: Tensor | None = None  # (most + 1,) int32: of queries, on the device; the last one is the end of them all
    key_starts: Tensor | None = None  # (most + 1,) int32
    key_lengths: Tensor | None = None  # (most,) int32; 0 where there is no sequence

    @property
    def longest(self) -> tuple[int, int]:
        return max(end - start for start, end in self.queries), max(end - start for start, end in self.keys)


@dataclass(frozen=True, slots=True)
class DecodeMetadata:
    """How far each slot's query sees, (slots,) each. The first `shared` keys lie at `shared_at` too, for all alike."""

    lengths: Tensor  # int32, the query's own key included; 0 is a slot at rest
    shared: Tensor  # int32
    shared_at: Tensor  # int64, a row
