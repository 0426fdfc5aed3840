"""Batches of token ids padded on the left, so that all rows end in the last column, where a decoder continues."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def left_pad(rows: Sequence[Tensor], pad_token: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of the rows, (rows, tokens) each."""
    ids = pad_sequence(list(rows), batch_first=True, padding_value=pad_token, padding_side="left")
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
    return ids, mask
