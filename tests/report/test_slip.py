"""The sentence about a threshold: of 100 bad jobs so many slip through."""

import pytest

from yanshou.evaluate.metrics import Rate
from yanshou.report.curve import Point
from yanshou.report.slip import of_hundred, slip_sentence
from yanshou.report.translations import TRANSLATIONS

EN, ZH = TRANSLATIONS["en"], TRANSLATIONS["zh"]


@pytest.mark.parametrize(
    ("count", "of", "text"),
    [
        (0, 7, "0"),
        (7, 7, "100"),
        (1, 20, "5"),
        (1, 101, "fewer than 1"),
        (1, 99, "about 1"),
        (3, 95, "about 3"),  # 3.16
        (1, 8, "about 13"),  # 12.5 is rounded up
        (99, 100, "99"),
        (199, 200, "more than 99"),
    ],
)
def test_a_share_as_a_number_of_a_hundred(count: int, of: int, text: str) -> None:
    assert of_hundred(Rate(count, of), EN) == text


def test_the_sentence_names_both_errors_with_their_counts() -> None:
    point = Point(0.93, Rate(50, 400), Rate(3, 95))
    assert slip_sentence(point, EN, (None, None)) == (
        "Threshold 0.93: of 100 bad jobs about 3 slip through (3 of 95); of 100 good jobs about 13 are held back "
        "(50 of 400)."
    )
    assert slip_sentence(point._replace(threshold=None), ZH, (None, None)) == (
        "按当前判定：每 100 个不合格的组中，约 3 个被误放行（3 / 95）；"
        "每 100 个合格的组中，约 13 个不能放行（50 / 400）。"
    )


def test_the_sentence_says_which_limit_is_exceeded() -> None:
    point = Point(0.93, Rate(50, 400), Rate(3, 95))
    assert slip_sentence(point, EN, (0.03, 0.125)).endswith(" As a release threshold it exceeds the limit.")
    assert slip_sentence(point, EN, (0.05, 0.1)).endswith("(50 of 400). As a block threshold it exceeds the limit.")
