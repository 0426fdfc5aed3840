"""Keeps full garbage collections short while a long run is under way.

A full collection walks over every object of the process, and those of torch and transformers are about a million. The
thread that feeds the GPU then stops for 0.1 to 0.3 s, several times a minute. Frozen objects are not walked over.

A freeze also sets the collector's counters back. Where short runs follow each other in one process, it would never come
to a full collection, and the process would grow without end.
"""

import gc
from collections.abc import Iterable, Iterator
from typing import TypeVar

LONG = 100  # outcomes from which on a run is long

T = TypeVar("T")


def frozen_heap(outcomes: Iterable[T], expected: int) -> Iterator[T]:
    """The same outcomes. If LONG or more are expected, older objects are not collected from now until their end.

    One full collection comes first: an engine that nobody uses any more, for example, must not keep its memory.
    """
    if expected < LONG:
        return iter(outcomes)
    gc.collect()
    gc.freeze()
    return _until_their_end(outcomes)


def _until_their_end(outcomes: Iterable[T]) -> Iterator[T]:
    try:
        for number, outcome in enumerate(outcomes):
            if number == 0:
                gc.freeze()  # what the first one loaded
            yield outcome
    finally:
        gc.unfreeze()
