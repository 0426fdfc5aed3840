"""The texts of the reviewer's pages, one dict per language. A new language is one more module with the same keys."""

from collections.abc import Mapping
from typing import Final

from yanshou.errors import UsageError
from yanshou.review.web.languages import en, zh

TRANSLATIONS: Final[Mapping[str, Mapping[str, str]]] = {"zh": zh.TEXTS, "en": en.TEXTS}


def translation(lang: str) -> Mapping[str, str]:
    """The texts of a language. Raises UsageError for an unknown one."""
    if lang not in TRANSLATIONS:
        raise UsageError(f"--lang {lang!r}: unknown language. Choose one of {', '.join(TRANSLATIONS)}.")
    return TRANSLATIONS[lang]
