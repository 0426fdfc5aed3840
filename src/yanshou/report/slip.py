"""What a threshold lets through: of 100 bad jobs about 3 slip through, of 100 good jobs about 12 are held back.

The page holds the sentence of the marked point, so that it needs no script. `parts/curve.js` says the same about every
other point.
"""

from collections.abc import Mapping

from yanshou.evaluate.metrics import Rate
from yanshou.report.curve import Point


def slip_sentence(point: Point, texts: Mapping[str, str], limits: tuple[float | None, float | None]) -> str:
    """The sentence about a point, and which of the limits on false releases and on false blocks it exceeds."""
    released, blocked = point.false_release, point.false_block
    when = texts["when_written" if point.threshold is None else "when_threshold"].format(p=point.threshold)
    sentence = texts["slip"].format(
        when=when,
        released=of_hundred(released, texts),
        fails=texts["counted"].format(count=released.count, of=released.of),
        blocked=of_hundred(blocked, texts),
        passes=texts["counted"].format(count=blocked.count, of=blocked.of),
    )
    over = zip((released, blocked), limits, ("over_release", "over_block"), strict=True)
    return sentence + "".join(texts[key] for rate, limit, key in over if _exceeds(rate, limit))


def of_hundred(rate: Rate, texts: Mapping[str, str]) -> str:
    """A share as a number of 100. Only an exact one has no word such as *about* before it."""
    hundredfold = 100 * rate.count
    if hundredfold % rate.of == 0:
        return str(hundredfold // rate.of)
    if hundredfold < rate.of:
        return texts["fewer_than_one"]
    if hundredfold > 99 * rate.of:
        return texts["more_than_99"]
    return texts["about"].format(n=(2 * hundredfold + rate.of) // (2 * rate.of))


def _exceeds(rate: Rate, limit: float | None) -> bool:
    return limit is not None and rate.count > limit * rate.of
