"""Detects an answer that repeats itself endlessly, long before it reaches its token limit.

标签/无法识别×1，标签/可以识别×1，标签/无法识别×1，标签/可以识别×1，标签/无法识别×1，标签/可以识别×1，…
"""

from collections.abc import Sequence

MAX_PERIOD = 48  # tokens of the repeated piece
MIN_REPEATS = 4  # occurrences of the piece
MIN_TOKENS = 64  # tokens that all occurrences cover together; none of 8,218 field summaries has such an ending
CHECK_INTERVAL = 16  # tokens between two checks


def is_repeating(tokens: Sequence[int]) -> bool:
    """Whether the answer so far ends in one piece repeated over and over. Checks only at every 16th token."""
    if len(tokens) < MIN_TOKENS or len(tokens) % CHECK_INTERVAL:
        return False
    return any(_ends_with_period(tokens, period) for period in range(1, MAX_PERIOD + 1))


def _ends_with_period(tokens: Sequence[int], period: int) -> bool:
    length = max(MIN_TOKENS, MIN_REPEATS * period)
    tail = tokens[-length:]
    return len(tail) == length and tail[period:] == tail[:-period]
