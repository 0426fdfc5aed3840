"""A moment as people write it: 2026年11月28日 16:04（UTC+8）, 28 November 2026, 16:04 (UTC+8)."""

from collections.abc import Mapping
from datetime import datetime, timedelta


def in_words(moment: object, texts: Mapping[str, str]) -> str:
    """The time of an ISO 8601 string, at the offset that it names; anything else unchanged."""
    try:
        time = datetime.fromisoformat(str(moment))
    except ValueError:
        return str(moment)
    return texts["moment"].format(
        year=time.year, month=texts["months"].split()[time.month - 1], day=time.day, clock=f"{time:%H:%M}"
    ) + ("" if (offset := time.utcoffset()) is None else texts["offset"].format(offset=_offset(offset)))


def _offset(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return "UTC"
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{rest:02d}" if rest else "")
