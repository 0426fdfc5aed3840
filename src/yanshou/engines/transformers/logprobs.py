"""The log-probabilities of given first lines of an answer, from which `p_pass` is computed.

    prompt … <|im_start|>assistant⏎  通过⏎      ln P = Σ ln P(token | prompt and the tokens before it)
    prompt … <|im_start|>assistant⏎  不通过⏎

Rows are padded on the left and their positions count from each row's first token, so the other rows of a batch change
a row's result in its last bits only.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from yanshou.engines.transformers.padding import left_pad


def log_likelihoods(
    model: Any, prompts: Sequence[Tensor], answers: Sequence[Sequence[int]], pad_token: int
) -> list[float]:
    """ln P(answer | prompt) of each pair of token ids. Prompts without photos."""
    rows = [torch.cat([prompt, torch.tensor(answer)]) for prompt, answer in zip(prompts, answers, strict=True)]
    ids, mask = (tensor.to(model.device) for tensor in left_pad(rows, pad_token))
    positions = (mask.cumsum(-1) - 1).clamp(min=0).expand(3, -1, -1)  # temporal, row and column are equal for text
    longest = max(map(len, answers))
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=longest + 1)
    logprobs = out.logits[:, :-1].float().log_softmax(-1)  # (rows, longest, vocabulary)
    of_tokens = logprobs.gather(-1, ids[:, -longest:, None])[..., 0].double().tolist()  # (rows, longest)
    return [sum(row[longest - len(answer) :]) for row, answer in zip(of_tokens, answers, strict=True)]
