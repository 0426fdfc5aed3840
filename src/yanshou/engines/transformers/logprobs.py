"""How likely a model finds given first lines of its answer.

    prompt … <|im_start|>assistant⏎  通过⏎      ln P = Σ ln P(token | prompt, tokens before)
    prompt … <|im_start|>assistant⏎  不通过⏎

Rows are padded on the left, so that all answers end in the last column, and positions are counted from a row's first
token: what stands beside a row changes nothing but the last bits.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def log_likelihoods(model: Any, prompts: Sequence[Tensor], answers: Sequence[Sequence[int]], pad: int) -> list[float]:
    """ln P(answer | prompt) of each pair of token ids; text only."""
    longest, wanted = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True)), max(map(len, answers))
    ids = torch.full((len(prompts), longest), pad)
    mask = torch.zeros_like(ids)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        used = len(prompt) + len(answer)
        ids[row, longest - used :] = torch.cat([prompt, torch.tensor(answer)])
        mask[row, longest - used :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0).expand(3, -1, -1)  # temporal, row and column are one for text
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=wanted + 1)
    told = out.logits[:, :-1].float().log_softmax(-1)  # (rows, wanted, vocabulary)
    each = told.gather(-1, ids[:, -wanted:, None])[..., 0].double().tolist()
    return [sum(row[wanted - len(answer) :]) for row, answer in zip(each, answers, strict=True)]
