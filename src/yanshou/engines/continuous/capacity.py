"""How many slots the memory holds, reckoned from the checkpoint's shapes before anything is loaded.

    memory × share = weights + one launch's own tensors + slots × room × bytes a row + the step's own tensors

The same GPU, checkpoint and settings always give the same sizes: another number of slots is another shape of launches,
and its last bits may differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

GIB = 2**30
MOST_SLOTS = 256  # more bring little: a step then waits for keys and values, not for weights
CPU_SLOTS = 16
MULTIPLE = 64  # rows of a slot
SEQUENCES = 128  # prompts and scored lines in one launch
MAX_BATCHED_TOKENS = ((38, 25_088), (20, 8_192), (14, 4_096), (0, 2_048))  # from so much memory (GiB): about so many
TILE = 128  # rows that a matrix product computes at once
PATCHES = 4  # a visual token
SHAPE = {"slots": "slots", "tokens": "launch_tokens", "visual": "launch_visual_tokens"}  # of a size: in run.json
OWN = GIB  # of libraries, and the step's own tensors


@dataclass(frozen=True, slots=True)
class RequestBounds:
    """What a request takes at most."""

    rows: int  # of keys and values: its prompt and its answer
    tokens: int  # of a launch: its prompt but for what others share
    visual: int  # of these; 0 without a photo
    scored: bool  # it has choices


@dataclass(frozen=True, slots=True)
class Capacity:
    """How large everything is."""

    slots: int  # answers at once
    room: int  # rows of keys and values a slot
    tokens: int  # of a launch
    visual: int  # of these
    scratch: int = 0  # rows for scored lines: one a token of a launch, or none
    shared: int = 0  # rows for prefixes that all slots read in one place

    @property
    def shape(self) -> dict[str, int]:
        """What the last bits of an answer may depend on, as run.json names it."""
        return {name: getattr(self, field) for field, name in SHAPE.items()}

    def limited(self, earlier: Mapping[str, Any], visual: int) -> "Capacity":
        """With the shape of an earlier run where that is smaller, and room for a photo of so many visual tokens."""
        there = {field: earlier.get(name) for field, name in SHAPE.items()}
        known = {field: number for field, number in there.items() if type(number) is int and number > 0}
        found = replace(self, **{field: min(number, getattr(self, field)) for field, number in known.items()})
        tokens = max(found.tokens, found.room)
        return replace(found, tokens=tokens, visual=max(found.visual, visual), scratch=tokens if found.scratch else 0)

    def halved(self, times: int) -> "Capacity":
        """After running out of memory so many times."""
        tokens, visual = max(self.room, self.tokens >> times), max(self.room, self.visual >> times)
        return replace(
            self, slots=max(1, self.slots >> times), tokens=tokens, visual=min(self.visual, visual),
            scratch=tokens if self.scratch else 0,
        )  # fmt: skip


def size(
    config: Any, device: torch.device, dtype: torch.dtype, weights: int, share: float, need: RequestBounds
) -> Capacity:
    """For so many bytes of `weights` and a share of the memory."""
    room = _whole(need.rows, MULTIPLE)
    if device.type != "cuda":
        tokens = max(4_096, room)
        return Capacity(CPU_SLOTS, room, tokens, tokens, tokens if need.scored else 0)
    total = torch.cuda.get_device_properties(device).total_memory
    tokens = visual = max(next(tokens for gib, tokens in MAX_BATCHED_TOKENS if total >= gib * GIB), room)
    if need.visual:  # as many of the largest photos, and no room beside them
        photos = min(tokens // need.tokens, SEQUENCES)
        tokens, visual = max(_whole(photos * need.tokens, TILE), room), photos * need.visual
    scratch = tokens if need.scored else 0
    row = row_bytes(config, dtype)
    spare = share * total - weights - activation_bytes(config, dtype, tokens) - OWN - (scratch + 1) * row
    slots = max(1, min(MOST_SLOTS, int(spare // (row * room))))
    return Capacity(slots if slots < 8 else slots // 8 * 8, room, tokens, visual, scratch)


def _whole(number: int, multiple: int) -> int:
    """Rounded up."""
    return -(-number // multiple) * multiple


def row_bytes(config: Any, dtype: torch.dtype) -> int:
    """Keys and values of one token in all layers."""
    text = config.text_config
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * dtype.itemsize)


def activation_bytes(config: Any, dtype: torch.dtype, tokens: int) -> int:
    """What one launch of so many tokens holds at its widest, in the tower or in the language model."""
    text, vision = config.text_config, config.vision_config
    heads = 2 * text.num_attention_heads + 4 * text.num_key_value_heads
    language = (8 * text.hidden_size + heads * text.head_dim + 3 * text.intermediate_size) * dtype.itemsize
    tower = PATCHES * (9 * vision.hidden_size + 2 * vision.intermediate_size + 1_536) * dtype.itemsize
    return int(tokens * max(language, tower))
