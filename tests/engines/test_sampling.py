"""`yanshou.engines.sampling`: tokens have the right frequencies, and a row depends on no other row and no padding."""

import math
from itertools import pairwise

import pytest
import torch

from yanshou.engines.sampling import DrawPerRow, PaddedRepetitionPenalty, processors, stream
from yanshou.settings import SamplingSettings

PAD = 0
NO_IDS = torch.zeros(1, 0, dtype=torch.long)


def drawn(scores: torch.Tensor, streams: list[str], seed: int = 0) -> list[int]:
    """The token that each row is left with."""
    out = DrawPerRow([stream(seed, key) for key in streams])(NO_IDS, scores)
    assert bool(((out == 0).sum(-1) == 1).all())
    assert bool(((out == -math.inf).sum(-1) == scores.shape[1] - 1).all())
    return out.argmax(-1).tolist()


@pytest.mark.parametrize("shares", [[0.5, 0.3, 0.15, 0.05], [0.001, 0.998, 0.0, 0.001], [0.0, 0.0, 1.0, 0.0]], ids=str)
def test_tokens_are_drawn_as_often_as_they_are_likely(shares: list[float]) -> None:
    rows = 20_000
    scores = torch.tensor(shares).log().expand(rows, -1) + 3.0  # a constant changes no probability
    counts = torch.bincount(torch.tensor(drawn(scores, [f"photo {row}" for row in range(rows)])), minlength=4)
    for share, count in zip(shares, counts.tolist(), strict=True):
        assert abs(count - rows * share) <= 4 * math.sqrt(rows * share * (1 - share)), (share, count)


def test_successive_draws_of_one_row_are_independent() -> None:
    draw, scores = DrawPerRow([stream(0, "photo")]), torch.zeros(1, 2)
    tokens = [int(draw(NO_IDS, scores).argmax()) for _ in range(4_000)]
    for pair in ((0, 0), (0, 1), (1, 0), (1, 1)):
        count = sum(seen == pair for seen in pairwise(tokens))
        assert abs(count - 1_000) < 120, pair


def test_a_row_draws_the_same_token_in_any_batch() -> None:
    scores = torch.randn(5, 50, generator=torch.Generator().manual_seed(0))
    together = drawn(scores, list("abcde"))
    assert [drawn(scores[row : row + 1], [key])[0] for row, key in enumerate("abcde")] == together
    assert drawn(scores, list("abcde"), seed=1) != together


def test_every_key_and_seed_has_a_stream_of_its_own() -> None:
    assert stream(0, "图片\udcff.jpg").random() == stream(0, "图片\udcff.jpg").random()
    assert len({stream(seed, key).random() for seed in (1, 11, 2**62) for key in ("", "1", "11", "图")}) == 12


def test_the_penalty_ignores_padding() -> None:
    scores = torch.tensor([[2.0, 2.0, -2.0, 2.0, -2.0]])
    penalty = PaddedRepetitionPenalty(2.0, PAD)
    bare = penalty(torch.tensor([[1, 2]]), scores)
    assert bare.tolist() == [[2.0, 1.0, -4.0, 2.0, -2.0]]
    assert torch.equal(penalty(torch.tensor([[PAD, PAD, PAD, 1, 2]]), scores), bare)


def test_greedy_needs_no_processor_and_top_p_keeps_the_likely_tokens() -> None:
    assert len(processors(SamplingSettings(), ["a"], PAD)) == 0
    chain = processors(SamplingSettings(temperature=0.5, top_p=0.6), [str(row) for row in range(500)], PAD)
    scores = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(500, -1)  # at temperature 0.5: 0.53, 0.30, 0.13, 0.03
    assert set(chain(NO_IDS, scores).argmax(-1).tolist()) == {0, 1}
