"""Labels of a plot lie on no line and on no other label."""

import pytest

from yanshou.report.label_places import Box, LabelPlaces, Place, crosses, text_width

AREA = Box(0, 0, 300, 200)


@pytest.mark.parametrize(
    ("start", "end", "touches"),
    [
        ((0, 15), (100, 15), True),  # through it
        ((12, 12), (18, 18), True),  # inside it
        ((0, 0), (100, 100), True),
        ((15, 0), (15, 9.9), False),  # ends above it
        ((0, 21), (100, 21), False),  # below it
        ((0, 19), (19, 0), False),  # cuts the corner off
        ((15, 15), (15, 15), True),  # a point
    ],
)
def test_a_line_crosses_a_box_where_they_share_a_point(
    start: tuple[float, float], end: tuple[float, float], touches: bool
) -> None:
    box = Box(10, 10, 20, 20)
    assert crosses(box, start, end) is touches
    assert crosses(box, end, start) is touches


def test_chinese_is_as_wide_as_high_and_other_text_narrower() -> None:
    assert text_width("上限") == 24
    assert text_width("5%") == pytest.approx(14.4)


def test_a_label_takes_the_first_place_that_touches_no_line_and_no_label() -> None:
    line = ((0.0, 100.0), (300.0, 100.0))
    on, above, below = Place(100, 104, "start"), Place(100, 94, "start"), Place(100, 114, "start")
    places = LabelPlaces([line], AREA)
    assert places.put("上限", [on, above, below]) == above
    assert places.put("阈值", [on, above, below]) == below


def test_a_label_stays_inside_the_plot() -> None:
    outside, inside = Place(290, 50, "start"), Place(290, 50, "end")
    assert LabelPlaces([], AREA).put("所选阈值 0.7", [outside, inside]) == inside


def test_a_label_without_a_free_place_takes_the_first() -> None:
    everywhere = [((0.0, float(y)), (300.0, float(y))) for y in range(0, 200, 5)]
    assert LabelPlaces([*everywhere], AREA).put("上限", [Place(9, 99, "start"), Place(99, 99, "end")]).x == 9
