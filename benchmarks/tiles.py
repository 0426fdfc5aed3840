"""How long attention's kernels take on a GPU, with other tiles than the engine's too. Qwen3-VL-4B's shapes, bf16.

    python benchmarks/tiles.py --json tiles.json

tower     a layer over 32 photos of 2,964 patches; prefill: a layer over 32 prompts, 775 queries over 939 keys each
decode    a layer of a step: 256 slots, so many of them at work over 990 keys, 164 of which all share

A tile is rows of queries (none in a step), keys, warps, stages. Medians; the first of each is the engine's own, and the
others' results are held against its.
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
from yanshou.engines.continuous.kernels import attention as kernel

Tile = tuple[int, int, int, int]  # rows, keys, warps, stages
SLOTS, ROOM, KEYS, SHARED = 256, 1_280, 990, 164
PHOTOS, PATCHES, PROMPT, REST = 32, 2_964, 939, 775
DECODE: Sequence[Tile] = list(product([0], [64, 32, 128], [4, 2, 8], [3, 2, 4]))
PACKED: Sequence[Tile] = [
    (64, 64, 4, 3), (64, 64, 4, 2), (64, 64, 4, 4), (64, 32, 4, 2), (64, 32, 4, 3), (64, 32, 4, 4), (32, 64, 4, 3),
    (64, 128, 4, 2), (128, 64, 4, 3), (128, 64, 8, 3), (128, 64, 8, 2), (128, 128, 8, 2), (128, 32, 8, 3),
    (128, 32, 4, 3),
]  # fmt: skip


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, device="cuda", dtype=torch.bfloat16)


def decode(at_work: int) -> Callable[[], Tensor]:
    lengths = torch.where(torch.arange(SLOTS) < at_work, KEYS, 0).int().cuda()
    shared, shared_at = torch.full_like(lengths, SHARED), torch.full((SLOTS,), SLOTS * ROOM, device="cuda")
    reach, q = DecodeMetadata(lengths, shared, shared_at), noise(SLOTS, 32, 128)
    k, v = noise(SLOTS * ROOM + SHARED, 8, 128), noise(SLOTS * ROOM + SHARED, 8, 128)
    return lambda: kernel.decode(q, k, v, reach, ROOM, 128**-0.5)


def packed(queries: int, keys: int, heads: int, key_heads: int, width: int, causal: bool) -> Callable[[], Tensor]:
    def starts(each: int) -> Tensor:
        return torch.arange(0, (PHOTOS + 1) * each, each, device="cuda", dtype=torch.int32)

    rows, lengths = [(at * queries, (at + 1) * queries) for at in range(PHOTOS)], torch.full((PHOTOS,), keys)
    spans = VarlenMetadata(rows, rows, starts(queries), starts(keys), lengths.int().cuda())
    q, k, v = noise(PHOTOS * queries, heads, width), *(noise(PHOTOS * keys, key_heads, width) for _ in range(2))
    return lambda: kernel.varlen(q, k, v, spans, width**-0.5, causal)


def measured(name: str, work: Callable[[], Tensor], tiles: Sequence[Tile]) -> Iterator[dict[str, Any]]:
    first: Tensor | None = None
    for tile in tiles:
        rows, keys, warps, stages = tile
        own = {"DECODE_BLOCK_N": keys, "DECODE_NUM_WARPS": warps, "DECODE_NUM_STAGES": stages}
        if rows:
            own = {"BLOCK_M": rows, "BLOCK_N": keys, "NUM_WARPS": warps, "NUM_STAGES": stages}
        row: dict[str, Any] = {"name": name, "tile": tile}
        try:
            with mock.patch.multiple(kernel, **own):
                found = work()
                first = found if first is None else first
                row["away"] = float((found.float() - first.float()).norm() / first.float().norm())
                row["microseconds"] = 1_000 * do_bench(work, return_mode="median")
        except Exception as error:  # noqa: BLE001 - a tile that does not fit the GPU
            row["error"] = str(error)[:200]
        yield row


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description="How long attention's kernels take.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    found: list[dict[str, Any]] = []
    for name, work, tiles in (
        ("tower", packed(PATCHES, PATCHES, 16, 16, 64, causal=False), PACKED),
        ("prefill", packed(REST, PROMPT, 32, 8, 128, causal=True), PACKED),
        *((f"decode, {at_work} at work", decode(at_work), DECODE) for at_work in (SLOTS, 8)),
    ):
        for row in measured(name, work, tiles):
            found.append(row)
            told = f"{row['microseconds']:>9.1f} µs, {row['away']:.0e} away" if "away" in row else row["error"]
            print(f"{row['name']:<22} {row['tile']!s:<20} {told}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
