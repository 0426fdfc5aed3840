"""How many slots the memory holds, reckoned from the checkpoint's shapes before anything is loaded.

    memory × share = weights + one launch's own tensors + slots × room × bytes a row + the step's own tensors

The same GPU, checkpoint and settings always give the same sizes: another number of slots is another shape of launches,
and its last bits may differ.
"""

from dataclasses import dataclass
from typing import Any

import torch

GIB = 2**30
MOST_SLOTS = 256  # more bring little: a step then waits for keys and values, not for weights
CPU_SLOTS = 16
MULTIPLE = 64  # rows of a slot
SEQUENCES = 128  # prompts and scored lines in one launch
LAUNCH_TOKENS = ((38, 24_576), (20, 8_192), (14, 4_096), (0, 2_048))  # from so much memory (GiB): tokens of a launch
PATCHES = 4  # a visual token
OWN = GIB  # of libraries, and the step's own tensors


@dataclass(frozen=True, slots=True)
class Size:
    """How large everything is."""

    slots: int  # answers at once
    room: int  # rows of keys and values a slot
    tokens: int  # of a launch
    scratch: int = 0  # rows for scored lines: one a token of a launch, or none
    shared: int = 0  # rows for prefixes that all slots read in one place

    def halved(self, times: int) -> "Size":
        """After running out of memory so many times."""
        tokens = max(self.room, self.tokens >> times)
        return Size(max(1, self.slots >> times), self.room, tokens, tokens if self.scratch else 0, self.shared)


def size(
    config: Any, device: torch.device, dtype: torch.dtype, weights: int, share: float, rows: int, scored: bool
) -> Size:
    """For answers of so many `rows`, prompt included, `weights` in bytes, and a share of the memory."""
    room = -(-rows // MULTIPLE) * MULTIPLE
    if device.type != "cuda":
        tokens = max(4_096, room)
        return Size(CPU_SLOTS, room, tokens, tokens if scored else 0)
    total = torch.cuda.get_device_properties(device).total_memory
    tokens = max(next(tokens for gib, tokens in LAUNCH_TOKENS if total >= gib * GIB), room)
    scratch = tokens if scored else 0
    row = row_bytes(config, dtype)
    spare = share * total - weights - launch_bytes(config, dtype, tokens) - OWN - (scratch + 1) * row
    slots = max(1, min(MOST_SLOTS, int(spare // (row * room))))
    return Size(slots if slots < 8 else slots // 8 * 8, room, tokens, scratch)


def row_bytes(config: Any, dtype: torch.dtype) -> int:
    """Keys and values of one token in all layers."""
    text = config.text_config
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * dtype.itemsize)


def launch_bytes(config: Any, dtype: torch.dtype, tokens: int) -> int:
    """What one launch of so many tokens holds at its widest, in the tower or in the language model."""
    text, vision = config.text_config, config.vision_config
    heads = 2 * text.num_attention_heads + 4 * text.num_key_value_heads
    language = (8 * text.hidden_size + heads * text.head_dim + 3 * text.intermediate_size) * dtype.itemsize
    tower = PATCHES * (9 * vision.hidden_size + 2 * vision.intermediate_size + 1_536) * dtype.itemsize
    angles = PATCHES * 6 * vision.hidden_size * 4  # float32, where it is not compiled into one kernel
    return int(tokens * max(language, tower + angles))
