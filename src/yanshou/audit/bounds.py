"""What a sample of released groups says about all of them.

    5,210 released groups, 300 of them looked at, 2 bad      at most 106 of the 5,210 are bad, at 95 % confidence

The sample is drawn without replacement from a population of known size, so the number of bad groups in it is
hypergeometric. The upper bound is the largest number of bad groups in the population under which as few as were found
are not too unlikely (probability above 1 - confidence): the exact one-sided bound of Clopper and Pearson (1934), for a
finite population (Katz 1953; Buonaccorsi 1987). It is never above the binomial bound, and is the number itself where
every group was looked at. It covers the true number with at least the stated confidence, whatever that number is.
"""

from bisect import bisect_left

from scipy.stats import hypergeom

ROUNDING = 1e-9  # tolerance for floating-point errors, to the safe side


def most_bad(population: int, sample: int, found: int, confidence: float) -> int:
    """The upper bound on the number of bad groups in the population. `found`: of the `sample`."""
    possible = range(found, population - (sample - found) + 1)
    unlikely = bisect_left(possible, True, key=lambda bad: _too_few(population, bad, sample, found, confidence))
    return possible[unlikely - 1]


def sample_needed(population: int, limit: float, found: int, confidence: float) -> int | None:
    """The smallest sample that shows a share of bad groups of at most `limit`, if `found` of it are bad.

    None: no sample does, because as many bad groups as were found are above the limit.
    """
    too_many = int(population * limit + ROUNDING) + 1  # bad groups: the least that breaks the limit
    if found >= too_many:
        return None
    if too_many > population:
        return found
    sizes = range(found, population + 1)
    return sizes[bisect_left(sizes, True, key=lambda size: _too_few(population, too_many, size, found, confidence))]


def _too_few(population: int, bad: int, sample: int, found: int, confidence: float) -> bool:
    """Whether at most `found` in the sample are too unlikely, if `bad` of the population are."""
    return bool(hypergeom.cdf(found, population, bad, sample) <= (1 - confidence) * (1 - ROUNDING))
