"""Times in a report read as people write them."""

import pytest

from yanshou.report.moments import in_words
from yanshou.report.translations import TRANSLATIONS


@pytest.mark.parametrize(
    ("moment", "zh", "en"),
    [
        ("2026-01-18T09:30:00+08:00", "2026年1月18日 09:30（UTC+8）", "18 January 2026, 09:30 (UTC+8)"),
        ("2026-12-01T00:05:59-03:30", "2026年12月1日 00:05（UTC−3:30）", "1 December 2026, 00:05 (UTC−3:30)"),
        ("2026-11-28T16:04:00+00:00", "2026年11月28日 16:04（UTC）", "28 November 2026, 16:04 (UTC)"),
        ("2026-11-28T16:04:00", "2026年11月28日 16:04", "28 November 2026, 16:04"),
        ("yesterday", "yesterday", "yesterday"),
    ],
)
def test_a_moment_is_written_in_words_at_its_own_offset(moment: str, zh: str, en: str) -> None:
    assert [in_words(moment, TRANSLATIONS[lang]) for lang in ("zh", "en")] == [zh, en]
