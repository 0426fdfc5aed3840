"""Stores of `yanshou review`, filled as its first start fills them."""

from pathlib import Path
from typing import Any

from support.review_files import ReviewFiles
from yanshou.missions import load_missions
from yanshou.review.start import started
from yanshou.settings import ReviewSettings


def make_store(path: Path, files: ReviewFiles, **settings: Any) -> str:
    """Imports the verdicts, and the audit where there is one. Returns the key of the reviewers' link."""
    given = ReviewSettings(store=path, files=(files.verdicts,), audit=files.audit, **settings)
    with started(given, load_missions()) as start:
        return start.store.key("reader")
