"""Promises of the attention kernels that need no GPU; `support/interpreted_kernels.py` runs the kernels."""

import pytest

from yanshou.engines.continuous.kernels.attention import BLOCK_M, MIN_BLOCK_M, block_n_and_stages

KIB = 1024
H100, A100, ADA, TURING = 227 * KIB, 163 * KIB, 99 * KIB, 64 * KIB


@pytest.mark.parametrize("shared", [H100, A100, ADA, TURING])
@pytest.mark.parametrize("row", [64, 128, 256, 512])
def test_queries_keys_and_values_fit_the_memory_of_every_gpu(row: int, shared: int) -> None:
    block_n, stages = block_n_and_stages(row, shared)
    assert (BLOCK_M + 2 * block_n * stages) * row < shared
    assert block_n >= MIN_BLOCK_M


def test_the_blocks_that_were_measured_fastest_are_used_where_they_fit() -> None:
    assert block_n_and_stages(128 * 2, H100) == block_n_and_stages(64 * 2, H100) == (64, 3)
    assert block_n_and_stages(128 * 2, ADA) == (64, 2)
    assert block_n_and_stages(128 * 4, H100) == (64, 2)


def test_the_smallest_blocks_are_used_where_nothing_fits() -> None:
    assert block_n_and_stages(10_000, ADA) == (MIN_BLOCK_M, 1)
