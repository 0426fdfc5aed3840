"""What attention needs to know besides Q, K and V: where the queries and keys of each sequence lie."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Range = tuple[int, int]  # first row, and one past the last row


@dataclass(frozen=True, slots=True)
class VarlenMetadata:
    """Sequences of different lengths in one tensor of queries and one tensor of keys.

    The ranges are for the host; the tensors are for the kernels and None where no kernel runs. The tensors have
    FlashAttention's names and a fixed size, whatever the number of sequences.
    """

    query_ranges: Sequence[Range]
    key_ranges: Sequence[Range]
    cu_seqlens_q: Tensor | None = None  # (max sequences + 1,) int32: each sequence's first query row, then the end
    k_starts: Tensor | None = None  # (max sequences + 1,) int32: each sequence's first key row
    seqused_k: Tensor | None = None  # (max sequences,) int32: each sequence's number of keys; 0 for no sequence

    @property
    def max_seqlen_q(self) -> int:
        return max(end - start for start, end in self.query_ranges)

    @property
    def max_seqlen_k(self) -> int:
        return max(end - start for start, end in self.key_ranges)


@dataclass(frozen=True, slots=True)
class DecodeMetadata:
    """One query per slot, (slots,) each. The first `prefix_lens` keys are read from one place for all slots."""

    context_lens: Tensor  # int32, the query's own key included; 0 for an inactive slot
    prefix_lens: Tensor  # int32
    prefix_starts: Tensor  # int64, first cache row of the prefix
