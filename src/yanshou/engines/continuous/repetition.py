"""A model that repeats itself without end, noticed before it has written to its limit.

标签/无法识别×1，标签/可以识别×1，标签/无法识别×1，标签/可以识别×1，标签/无法识别×1，标签/可以识别×1，…
"""

from collections.abc import Sequence

LONGEST_PERIOD = 48  # tokens
TIMES = 4  # so often the same again, and
LEAST = 64  # so many tokens in all: the 8,218 field summaries hold no such text
EVERY = 16  # tokens between two looks


def repeats(tokens: Sequence[int]) -> bool:
    """Whether the answer so far ends in one piece that stands there over and over. Looks at every 16th token only."""
    if len(tokens) < LEAST or len(tokens) % EVERY:
        return False
    return any(_ends_in(tokens, period) for period in range(1, LONGEST_PERIOD + 1))


def _ends_in(tokens: Sequence[int], period: int) -> bool:
    length = max(LEAST, TIMES * period)
    tail = tokens[-length:]
    return len(tail) == length and tail[period:] == tail[:-period]
