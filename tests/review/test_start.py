"""Starts of `yanshou review`, up to the store that can be served."""

from pathlib import Path
from typing import Any

import pytest
from support.judged_files import write_judged
from support.lines import BAD, GROUNDING, stage_a_line, verdict
from support.review_files import CLEAR, DOUBT, write_review_files
from support.review_rows import queued_groups

from yanshou.errors import InputError, LockedError
from yanshou.missions import load_missions
from yanshou.review.start import started
from yanshou.settings import ReviewSettings


def groups_of(store: Path, *files: Path, **more: Any) -> dict[str, str]:
    """Starts, and says which groups are queued, and why."""
    with started(ReviewSettings(store=store, files=files, **more), load_missions()) as start:
        assert (start.imported is None) == (not files)
        return {name: group["why"] for name, group in queued_groups(start.store).items()}


def test_later_starts_resume_and_add_files(tmp_path: Path) -> None:
    store = tmp_path / "review.sqlite"
    files = write_review_files(tmp_path / "a", 4, kinds=[CLEAR, DOUBT], audit=2)
    first = groups_of(store, files.decisions)
    assert sorted(first.values()) == ["doubt", "doubt"]
    assert groups_of(store) == first
    (tmp_path / "b").mkdir()
    later = write_judged(tmp_path / "b", [verdict("QC-later", None)], [stage_a_line("QC-later", None, BAD)])
    assert groups_of(store, later) == {**groups_of(store), "QC-later": "false_release"}


def test_audit_queues_what_was_not(tmp_path: Path) -> None:
    store = tmp_path / "review.sqlite"
    files = write_review_files(tmp_path / "a", 4, kinds=[CLEAR, DOUBT], audit=2)
    assert set(groups_of(store, files.decisions).values()) == {"doubt"}
    assert sorted(groups_of(store, audit=files.audit).values()) == ["audit", "audit", "doubt", "doubt"]
    assert sorted(groups_of(store, files.decisions).values()) == ["audit", "audit", "doubt", "doubt"]


def test_start_says_where_the_audit_is(tmp_path: Path) -> None:
    files = write_review_files(tmp_path / "a", 4, kinds=[CLEAR], audit=2)
    settings = ReviewSettings(store=tmp_path / "review.sqlite", files=(files.decisions,), audit=files.audit)
    with started(settings, load_missions()) as start:
        assert list(start.lines())[-1] == "audit: 2 groups, among the others"
    with started(ReviewSettings(store=settings.store, open=True), load_missions()) as start:
        assert list(start.lines()) == ["audit: 2 groups, in a queue of their own"]


def test_new_links(tmp_path: Path) -> None:
    store, keys = tmp_path / "review.sqlite", []
    files = write_judged(tmp_path, [verdict("QC-1", None)], [stage_a_line("QC-1", None, BAD)])
    for new_links in (False, False, True):
        settings = ReviewSettings(store=store, files=(files,), new_links=new_links)
        with started(settings, load_missions()) as start:
            keys.append(start.store.key("reader"))
    assert keys[0] == keys[1] != keys[2]


def test_store_that_is_served_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    store = tmp_path / "review.sqlite"
    damaged = tmp_path / f"{GROUNDING}_verdicts.jsonl"
    files = write_judged(tmp_path, [verdict("QC-1", None)], [stage_a_line("QC-1", None, BAD)])
    with started(ReviewSettings(store=store, files=(files,)), load_missions()):
        damaged.write_text("{}")
        with pytest.raises(LockedError, match="another `yanshou review` serves this store"):
            groups_of(store, damaged)


def test_audit_of_other_groups_adds_nothing(tmp_path: Path) -> None:
    files = write_review_files(tmp_path / "a", 4, kinds=[CLEAR], audit=2)
    other = write_judged(tmp_path, [verdict("QC-1", None)], [stage_a_line("QC-1", None, BAD)])
    with pytest.raises(InputError, match=r"2 groups \(.* of the audit are in none of the files"):
        groups_of(tmp_path / "review.sqlite", other, audit=files.audit)
    with pytest.raises(InputError, match="no group is queued"):
        groups_of(tmp_path / "review.sqlite")
    assert len(groups_of(tmp_path / "review.sqlite", other, seed=5)) == 1  # the seed is that of the first import
