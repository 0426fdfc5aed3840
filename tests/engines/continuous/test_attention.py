"""Promises of attention on a CPU; `test_interpreted.py` runs the kernels."""

import torch

from yanshou.engines.continuous.attention import decode_attention, varlen_attention
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata


def test_attention_with_a_cached_prefix_equals_causal_attention_over_the_whole_sequence() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(9, heads, 8, generator=generator) for heads in (4, 2, 2))
    whole = varlen_attention(q, k, v, VarlenMetadata([(0, 9)], [(0, 9)]), 0.3, causal=True)
    rest = varlen_attention(q[5:], k, v, VarlenMetadata([(0, 4)], [(0, 9)]), 0.3, causal=True)
    torch.testing.assert_close(rest, whole[5:])
    metadata = DecodeMetadata(torch.tensor([0, 9], dtype=torch.int32), torch.zeros(2).int(), torch.zeros(2).long())
    unwritten = torch.full_like(k, torch.nan)
    last = decode_attention(q[[0, 8]], torch.cat([unwritten, k]), torch.cat([unwritten, v]), metadata, 9, 0.3)
    torch.testing.assert_close(last[1], whole[8])
    assert not last[0].any()  # an inactive slot reads nothing


def test_a_sequence_is_computed_from_its_own_rows_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(12, heads, 8, generator=generator) for heads in (4, 2, 2))
    together = VarlenMetadata([(0, 5), (5, 12)], [(0, 5), (5, 12)])
    for causal in (False, True):
        both = varlen_attention(q, k, v, together, 0.3, causal)
        for start, end in together.query_ranges:
            alone = VarlenMetadata([(0, end - start)], [(0, end - start)])
            rows = slice(start, end)
            assert torch.equal(varlen_attention(q[rows], k[rows], v[rows], alone, 0.3, causal), both[rows])
