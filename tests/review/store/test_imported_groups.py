"""Groups that enter a store, and the audit that comes with them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.review_answers import People, audit_of, imported, key
from support.review_rows import queued_groups, rows
from support.review_sessions import browser, take_all

from yanshou.errors import InputError
from yanshou.review.store.imported_groups import Added, ImportedGroup, ImportedPhoto
from yanshou.review.store.store import Store

KEYS = [key("QC-1"), key("QC-2", "fail"), key("QC-2", None)]
PHOTOS = (ImportedPhoto("/old/1.jpg", "电线/捆扎整齐×1"), ImportedPhoto("/old/2.jpg", None))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "review.sqlite", second_share=0.0) as store:
        yield store


def paths(store: Store) -> list[bytes]:
    return [row["path"] for row in rows(store, "SELECT path FROM photos ORDER BY group_ref, number")]


def reasons(store: Store) -> list[str]:
    return [row["why"] for row in rows(store, "SELECT why FROM groups WHERE queued = 1 ORDER BY why")]


def test_everything_about_a_group_is_stored(store: Store) -> None:
    group = ImportedGroup(
        key("QC-1", "fail"), PHOTOS, "false_release", verdict="pass", decision="release", p_pass=0.75,
        reason="良好\ud800", rules_verdict="fail", rules_reason="缺少接地", fault=None,
    )  # fmt: skip
    store.add_groups([group])
    row = queued_groups(store)["QC-1"]
    expected = {
        "mission": group.key.mission, "label": "fail", "group_id": "QC-1", "verdict": "pass", "decision": "release",
        "p_pass": 0.75, "reason": "良好\\ud800", "rules_verdict": "fail", "rules_reason": "缺少接地", "fault": None,
        "audit": 0, "queued": 1, "why": "false_release", "sampled": 0, "need": "first",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert paths(store) == [b"/old/1.jpg", b"/old/2.jpg"]


def test_one_id_under_both_labels_and_without_is_three_groups(store: Store) -> None:
    assert store.add_groups(map(imported, KEYS)) == Added(3, 0, 0, ())
    assert store.add_groups(map(imported, KEYS)) == Added(0, 0, 3, ())
    assert len(rows(store, "SELECT id FROM groups")) == 3


def test_group_without_answers_is_replaced_under_its_numbers(store: Store) -> None:
    store.add_groups([imported(KEYS[0], photos=PHOTOS)])
    before = rows(store, "SELECT id FROM photos ORDER BY number"), People(store).ids
    other = imported(KEYS[0], photos=(*PHOTOS[:1], ImportedPhoto("/old/2.jpg", "无关图片×1")), p_pass=0.5)
    assert store.add_groups([other]) == Added(0, 1, 0, ())
    assert (rows(store, "SELECT id FROM photos ORDER BY number"), People(store).ids) == before
    assert [row["summary"] for row in rows(store, "SELECT summary FROM photos ORDER BY number")] == [
        "电线/捆扎整齐×1", "无关图片×1",
    ]  # fmt: skip
    assert store.add_groups([imported(KEYS[0], photos=PHOTOS[:1])]) == Added(0, 1, 0, ())
    assert paths(store) == [b"/old/1.jpg"]


def test_group_with_answers_stays_as_read(store: Store) -> None:
    store.add_groups(map(imported, KEYS))
    people = People(store)
    people.undo("李", people.say("李", KEYS[0], "fail"))
    before = queued_groups(store), paths(store)
    assert store.add_groups([imported(KEYS[0], p_pass=0.5, photos=PHOTOS)]) == Added(0, 0, 0, (KEYS[0],))
    assert (queued_groups(store), paths(store)) == before


def test_why_a_group_is_read_is_no_part_of_its_content(store: Store) -> None:
    store.add_groups(imported(key, why="all") for key in KEYS)
    People(store).say("李", KEYS[0], "pass")
    held = store.next_groups(session := browser(store, "王"), "main", None, [], 2)[0].groups
    assert len(held) == 2
    assert store.add_groups(imported(key, why=None) for key in KEYS) == Added(0, 0, 3, (), unqueued=2)
    assert reasons(store) == ["all"]  # it has an answer
    assert store.renew(session, [group.id for group in held]) == []
    assert store.add_groups(imported(key, why="doubt") for key in KEYS) == Added(0, 0, 3, ())
    assert reasons(store) == ["all", "doubt", "doubt"]


def test_group_of_the_audit_stays_queued_whatever_the_files_say(store: Store) -> None:
    store.add_groups([imported(KEYS[0])], audit=audit_of(KEYS[:1]))
    assert store.add_groups([imported(KEYS[0], why=None)]) == Added(0, 0, 1, ())
    assert queued_groups(store)["QC-1"]["why"] == "audit"


def test_page_gives_a_group_back_whose_content_was_replaced(store: Store) -> None:
    store.add_groups([imported(KEYS[0])])
    session = browser(store, "李")
    held = [group.id for group in store.next_groups(session, "main", None, [], 1)[0].groups]
    store.add_groups([imported(KEYS[0])])
    assert store.renew(session, held) == held
    store.add_groups([imported(KEYS[0], photos=PHOTOS)])
    assert store.renew(session, held) == []


def test_moved_photos_are_found_again_with_answers_too(store: Store) -> None:
    store.add_groups([imported(KEYS[0], photos=PHOTOS)])
    People(store).say("李", KEYS[0], "fail")
    moved = tuple(replace(photo, path=photo.path.replace("old", "new")) for photo in PHOTOS)
    assert store.add_groups([imported(KEYS[0], photos=moved)]) == Added(0, 0, 1, ())
    assert paths(store) == [b"/new/1.jpg", b"/new/2.jpg"]


def test_group_that_no_file_queues_any_more_leaves_the_queue(store: Store) -> None:
    store.add_groups(map(imported, KEYS))
    assert store.add_groups([imported(KEYS[0], why=None)]) == Added(0, 0, 1, (), unqueued=1)
    assert "QC-1" not in queued_groups(store)
    assert len(take_all(store, People(store).session("李"))) == 2


def test_import_is_all_or_nothing(store: Store) -> None:
    def broken() -> Iterator[ImportedGroup]:
        yield imported(KEYS[0])
        raise InputError("a line that cannot be read")

    with pytest.raises(InputError, match="a line"):
        store.add_groups(broken())
    assert rows(store, "SELECT * FROM groups") == rows(store, "SELECT * FROM imports") == []


def test_each_import_is_recorded(store: Store) -> None:
    store.add_groups([], files=["安装_verdicts.jsonl"], counts={"doubt": 3})
    (row,) = rows(store, "SELECT * FROM imports")
    assert (row["files_json"], row["counts_json"]) == ('["安装_verdicts.jsonl"]', '{"doubt": 3}')


# ---- the audit ----


def test_audit_marks_its_groups_once(store: Store) -> None:
    audit = audit_of(KEYS[:1])
    store.add_groups([imported(KEYS[0], why=None), imported(KEYS[1])], audit=audit)
    People(store).say("李", KEYS[0], "pass")
    store.add_groups([imported(KEYS[2])], audit=audit)
    store.add_groups([imported(key("QC-9"))])
    assert store.audit == audit
    found = {name: (row["audit"], row["why"]) for name, row in queued_groups(store).items() if name != "QC-2"}
    assert found == {"QC-1": (1, "audit"), "QC-9": (0, "doubt")}


def test_replaced_group_of_the_audit_stays_in_it(store: Store) -> None:
    store.add_groups([imported(KEYS[0])], audit=audit_of(KEYS[:1]))
    store.add_groups([imported(KEYS[0], why=None, p_pass=0.9)])
    row = queued_groups(store)["QC-1"]
    assert (row["audit"], row["queued"], row["why"], row["p_pass"]) == (1, 1, "audit", 0.9)


def test_audits_that_are_refused(store: Store) -> None:
    store.add_groups(map(imported, KEYS[:2]))
    with pytest.raises(InputError, match=r"^1 groups \(QC-2 .*no label\)\) of the audit are in none of the files"):
        store.add_groups([], audit=audit_of([KEYS[0], KEYS[2]]))
    People(store).say("李", KEYS[0], "pass")
    with pytest.raises(InputError, match=r"^1 groups \(QC-1 .*\) of the audit have answers already"):
        store.add_groups([], audit=audit_of(KEYS[:2]))
    store.add_groups([], audit=audit_of(KEYS[1:2]))
    with pytest.raises(InputError, match="The store has another audit, drawn 2001"):
        store.add_groups([], audit=audit_of(KEYS[:2]))
    assert [row["audit"] for row in rows(store, "SELECT audit FROM groups ORDER BY group_id")] == [0, 1]
