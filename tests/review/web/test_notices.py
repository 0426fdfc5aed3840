"""The terminal is not filled with one sentence."""

from yanshou.review.web.notices import Notices


def test_the_same_line_comes_once_a_minute() -> None:
    told: list[str] = []
    now = [0.0]
    tell = Notices(told.append, lambda: now[0])
    for now[0] in (0.0, 30.0, 59.9, 60.0, 61.0):
        tell("the disk is full\x1b[2J")
        tell("another one")
    assert told == ["the disk is full\\x1b[2J", "another one"] * 2


def test_what_is_remembered_has_an_end() -> None:
    told: list[str] = []
    tell = Notices(told.append, lambda: 0.0)
    for number in range(2500):
        tell(number)
    assert len(told) == 2500
    assert len(tell._told) <= 1000
