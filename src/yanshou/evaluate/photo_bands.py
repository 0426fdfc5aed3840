"""Bands of the number of photos of a group, in figures and in the learned baseline: 1, 2, 3, 4, 5–7, 8+."""

from typing import Final

BANDS: Final = ((1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5–7"), (8, "8+"))  # from this many photos on


def band_of(photos: int) -> str:
    """The band of a number of photos, which is at least 1."""
    return next(name for least, name in reversed(BANDS) if photos >= least)
