"""How long the attention kernels take on a GPU, with the engine's tile sizes and others. Qwen3-VL-4B's shapes, bf16.

    python benchmarks/tiles.py --json tiles.json

vision    varlen attention of one layer of the vision tower: 32 photos of 2,964 patches
prefill   varlen attention of one layer: 32 prompts, 775 queries over 939 keys each
decode    decode attention of one layer: 256 slots, 256 or 8 of them active, over 990 keys, 164 of them shared

A tile is (BLOCK_M, BLOCK_N, warps, stages); decode has no BLOCK_M. Times are medians. The first tile of each kernel is
the engine's own, and the results of the others are compared with its result.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from triton.testing import do_bench

from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.kernels import attention as kernels

Tile = tuple[int, int, int, int]  # BLOCK_M (0 for decode), BLOCK_N, warps, stages
SLOTS, SLOT_LEN, CONTEXT, PREFIX = 256, 1_280, 990, 164  # tokens of a slot, of its context, of the shared prefix
PHOTOS, PATCHES, PROMPT, SUFFIX = 32, 2_964, 939, 775  # patches per photo; prompt tokens with and without the prefix
DECODE: Sequence[Tile] = list(product([0], [64, 32, 128], [4, 2, 8], [3, 2, 4]))
VARLEN: Sequence[Tile] = [
    (64, 64, 4, 3), (64, 64, 4, 2), (64, 64, 4, 4), (64, 32, 4, 2), (64, 32, 4, 3), (64, 32, 4, 4), (32, 64, 4, 3),
    (64, 128, 4, 2), (128, 64, 4, 3), (128, 64, 8, 3), (128, 64, 8, 2), (128, 128, 8, 2), (128, 32, 8, 3),
    (128, 32, 4, 3),
]  # fmt: skip


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, device="cuda", dtype=torch.bfloat16)


def decode(active: int) -> Callable[[], Tensor]:
    context_lens = torch.where(torch.arange(SLOTS) < active, CONTEXT, 0).int().cuda()
    prefix_lens = torch.full_like(context_lens, PREFIX)
    metadata = DecodeMetadata(context_lens, prefix_lens, torch.full((SLOTS,), SLOTS * SLOT_LEN, device="cuda"))
    q, k, v = noise(SLOTS, 32, 128), *(noise(SLOTS * SLOT_LEN + PREFIX, 8, 128) for _ in range(2))
    return lambda: kernels.decode(q, k, v, metadata, SLOT_LEN, 128**-0.5)


def varlen(queries: int, keys: int, heads: int, key_heads: int, head_dim: int, causal: bool) -> Callable[[], Tensor]:
    def starts(length: int) -> Tensor:
        return torch.arange(0, (PHOTOS + 1) * length, length, device="cuda", dtype=torch.int32)

    def ranges(length: int) -> list[tuple[int, int]]:
        return [(at * length, (at + 1) * length) for at in range(PHOTOS)]

    seqused_k = torch.full((PHOTOS,), keys).int().cuda()
    metadata = VarlenMetadata(ranges(queries), ranges(keys), starts(queries), starts(keys), seqused_k)
    q = noise(PHOTOS * queries, heads, head_dim)
    k, v = (noise(PHOTOS * keys, key_heads, head_dim) for _ in range(2))
    return lambda: kernels.varlen(q, k, v, metadata, head_dim**-0.5, causal)


def measured(name: str, run: Callable[[], Tensor], tiles: Sequence[Tile]) -> Iterator[dict[str, Any]]:
    """The time of each tile, and its distance from the first tile's result."""
    first: Tensor | None = None
    for tile in tiles:
        block_m, block_n, warps, stages = tile
        constants = {"DECODE_BLOCK_N": block_n, "DECODE_NUM_WARPS": warps, "DECODE_NUM_STAGES": stages}
        if block_m:
            constants = {"BLOCK_M": block_m, "BLOCK_N": block_n, "NUM_WARPS": warps, "NUM_STAGES": stages}
        row: dict[str, Any] = {"name": name, "tile": tile}
        try:
            with mock.patch.multiple(kernels, **constants):
                found = run()
                first = found if first is None else first
                row["distance"] = float((found.float() - first.float()).norm() / first.float().norm())
                row["microseconds"] = 1_000 * do_bench(run, return_mode="median")
        except Exception as error:  # noqa: BLE001 - a tile that does not fit the GPU
            row["error"] = str(error)[:200]
        yield row


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description="How long the attention kernels take with several tile sizes.")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    for name, run, tiles in (
        ("vision", varlen(PATCHES, PATCHES, 16, 16, 64, causal=False), VARLEN),
        ("prefill", varlen(SUFFIX, PROMPT, 32, 8, 128, causal=True), VARLEN),
        *((f"decode, {active} active", decode(active), DECODE) for active in (SLOTS, 8)),
    ):
        for row in measured(name, run, tiles):
            rows.append(row)
            good = "microseconds" in row
            result = f"{row['microseconds']:>9.1f} µs, distance {row['distance']:.0e}" if good else row["error"]
            print(f"{row['name']:<22} {row['tile']!s:<20} {result}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main()
