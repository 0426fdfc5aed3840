"""Answers, undos and reveals: exactly once, by the right session, blind where nothing was shown."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.review_answers import People, audit_of, imported, key, open_store
from support.review_rows import answer_rows, queued_groups, rows
from support.review_sessions import SteadyClock, browser, refused, take_all

from yanshou.review.store import sessions
from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.store import Store


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def store(tmp_path: Path, clock: SteadyClock) -> Iterator[Store]:
    with open_store(tmp_path / "review.sqlite", [key(f"QC-{number}") for number in range(3)], clock=clock) as store:
        yield store


@pytest.fixture
def people(store: Store) -> People:
    return People(store)


# ---- exactly once ----


def test_same_answer_again_is_one_row(store: Store, people: People) -> None:
    new = NewAnswer("uid-1", people.ids[key("QC-0")], "pass", "可见", 3.5)
    assert [store.answer(people.session("李"), new) for _ in range(3)] == [2, 2, 2]
    assert [(row["uid"], row["label"], row["reason"], row["seconds"]) for row in answer_rows(store)] == [
        ("uid-1", "pass", "可见", 3.5)
    ]


def test_same_answer_again_after_a_restart_and_from_another_browser(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with open_store(path, [key()]) as store:
        people = People(store)
        new = NewAnswer("uid-1", people.ids[key()], "pass")
        store.answer(people.session("李"), new)
    with Store.open(path) as store:
        assert store.answer(people.session("李"), new) == 0
        assert store.answer(People(store).session("李"), new) == 0
        assert len(answer_rows(store)) == 1


@pytest.mark.parametrize("change", [{"label": "fail"}, {"reason": "不可见"}, {"group": None}])
def test_id_of_another_answer_is_refused(store: Store, people: People, change: dict[str, object]) -> None:
    first = {"uid": "uid-1", "group": people.ids[key("QC-0")], "label": "pass"}
    store.answer(people.session("李"), NewAnswer(**first))
    other = {**first, **change}
    other["group"] = other["group"] or people.ids[key("QC-1")]
    with refused("uid_used"):
        store.answer(people.session("李"), NewAnswer(**other))
    with refused("uid_used"):
        store.answer(people.session("王"), NewAnswer(**first))
    assert len(answer_rows(store)) == 1


def test_lone_surrogate_of_a_reason_is_escaped_and_the_same_again(store: Store, people: People) -> None:
    new = NewAnswer("uid-1", people.ids[key("QC-0")], "pass", "a\ud800")
    store.answer(people.session("李"), new)
    store.answer(people.session("李"), new)
    assert [row["reason"] for row in answer_rows(store)] == ["a\\ud800"]


def test_rows_are_never_changed(store: Store, people: People, tmp_path: Path) -> None:
    people.say("李", key("QC-0"), "pass")
    store.reveal(people.session("李"), people.ids[key("QC-0")])
    other = sqlite3.connect(tmp_path / "review.sqlite")
    for sql in (
        "UPDATE answers SET label = 'fail'", "DELETE FROM answers",
        "INSERT OR REPLACE INTO answers SELECT * FROM answers", "UPDATE reveals SET at = ''", "DELETE FROM reveals",
    ):  # fmt: skip
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            other.execute(sql)
    other.close()


# ---- whose group it is ----


def test_answer_by_the_session_that_has_the_group(store: Store, people: People) -> None:
    first, *_ = take_all(store, people.session("李"))
    with refused("lease_lost"):
        store.answer(people.session("王"), NewAnswer("uid-1", first, "pass"))
    store.answer(people.session("李"), NewAnswer("uid-2", first, "pass"))
    assert [row["reader"] for row in answer_rows(store)] == ["李"]


def test_late_answer_is_kept_until_another_session_takes_the_group(
    store: Store, people: People, clock: SteadyClock
) -> None:
    first, second, third = take_all(store, people.session("李"))
    clock.now += 301
    store.answer(people.session("李"), NewAnswer("uid-1", first, "pass"))
    assert set(take_all(store, people.session("王"))) == {second, third}
    with refused("lease_lost"):
        store.answer(people.session("李"), NewAnswer("uid-2", second, "pass"))
    store.answer(people.session("王"), NewAnswer("uid-3", second, "pass"))
    with refused("answered"):  # settled by 王
        store.answer(people.session("李"), NewAnswer("uid-2", second, "pass"))
    store.answer(people.session("王"), NewAnswer("uid-4", third, "fail"))  # contradicts the folder: waits for a second
    store.answer(people.session("李"), NewAnswer("uid-5", third, "fail"))
    assert [row["uid"] for row in answer_rows(store)] == ["uid-1", "uid-3", "uid-4", "uid-5"]


def test_reader_answers_a_group_once(store: Store, people: People) -> None:
    people.say("李", key("QC-0"), "fail")  # waits for a second reader
    with refused("answered"):
        people.say("李", key("QC-0"), "pass")
    other_browser = browser(store, "李")
    assert people.ids[key("QC-0")] not in take_all(store, other_browser)
    with refused("answered"):
        store.answer(other_browser, NewAnswer("uid-9", people.ids[key("QC-0")], "pass"))


def test_group_that_is_not_queued_is_not_there(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", [key()]) as store:
        store.add_groups([imported(key("QC-9"), why=None)])
        people = People(store)
        for group in (people.ids[key("QC-9")], 12345):
            with refused("not_found"):
                store.answer(people.session("李"), NewAnswer("uid-1", group, "pass"))


# ---- undo ----


def test_undo_gives_the_group_back_and_keeps_both_rows(store: Store, people: People) -> None:
    uid = people.say("李", key("QC-0"), "fail", "不可见")
    group, machine = store.undo(people.session("李"), "undo-1", uid)
    assert (group.id, machine) == (people.ids[key("QC-0")], None)
    assert queued_groups(store)["QC-0"]["need"] == "first"
    assert store.history(people.session("李")) == []
    assert group.id not in take_all(store, people.session("王"))
    store.answer(people.session("李"), NewAnswer("uid-9", group.id, "pass"))
    assert [(row["label"], row["supersedes"]) for row in answer_rows(store)] == [
        ("fail", None),
        (None, 1),
        ("pass", None),
    ]
    assert [past.uid for past in store.history(people.session("李"))] == ["uid-9"]


def test_same_undo_again_gives_the_group_again(store: Store, people: People) -> None:
    uid = people.say("李", key("QC-0"), "fail")
    assert len({store.undo(people.session("李"), "undo-1", uid)[0].id for _ in range(3)}) == 1
    assert len(answer_rows(store)) == 2
    with refused("not_found"):  # undone before
        store.undo(people.session("李"), "undo-2", uid)
    people.say("李", key("QC-0"), "pass")
    with refused("answered"):
        store.undo(people.session("李"), "undo-1", uid)
    with refused("uid_used"):
        store.undo(people.session("李"), "undo-1", people.say("李", key("QC-1"), "pass"))


def test_undo_of_what_is_not_ones_own(store: Store, people: People) -> None:
    uid = people.say("李", key("QC-0"), "fail")
    for reader, answer in (("王", uid), ("李", "no-such-uid")):
        with refused("not_found"):
            store.undo(people.session(reader), "undo-1", answer)
    store.undo(people.session("李"), "undo-1", uid)
    with refused("not_found"):
        store.undo(people.session("李"), "undo-2", "undo-1")


def test_undo_waits_while_another_reads_the_group(store: Store, people: People, clock: SteadyClock) -> None:
    uid = people.say("李", key("QC-0"), "fail")
    assert people.ids[key("QC-0")] in take_all(store, people.session("王"))
    with refused("lease_lost"):
        store.undo(people.session("李"), "undo-1", uid)
    clock.now += 301
    assert store.undo(people.session("李"), "undo-1", uid)[0].id == people.ids[key("QC-0")]


def test_undo_of_the_first_leaves_the_second_reading(store: Store, people: People) -> None:
    uid = people.say("李", key("QC-0"), "fail")
    people.say("王", key("QC-0"), "pass")
    assert queued_groups(store)["QC-0"]["need"] == "third"
    people.undo("李", uid)
    assert queued_groups(store)["QC-0"]["need"] == "done"
    assert take_all(store, people.session("李")).count(people.ids[key("QC-0")]) == 0


# ---- what was shown ----


def test_machine_side_only_after_ones_own_answer(store: Store, people: People) -> None:
    group = people.ids[key("QC-0")]
    take_all(store, people.session("李"))
    for reader, wanted in (("李", group), ("王", group), ("李", 12345)):
        with refused("not_found"):
            store.reveal(people.session(reader), wanted)
    uid = people.say("李", key("QC-0"), "fail")
    assert store.history(people.session("李"))[0].group_id is None
    assert store.reveal(people.session("李"), group).folder == "pass"
    assert store.history(people.session("李"))[0].group_id == "QC-0"
    with refused("not_found"):
        store.reveal(people.session("王"), group)
    people.undo("李", uid)
    with refused("not_found"):  # the answer is gone, what was shown is not
        store.reveal(people.session("李"), group)


def test_answer_after_a_reveal_is_not_blind(store: Store, people: People) -> None:
    uid = people.say("李", key("QC-0"), "fail")
    store.reveal(people.session("李"), people.ids[key("QC-0")])
    store.reveal(people.session("李"), people.ids[key("QC-0")])
    people.undo("李", uid, then="pass")
    people.say("王", key("QC-1"), "pass")
    assert [(row["reader"], row["blind"]) for row in answer_rows(store)] == [("李", 1), ("李", 0), ("李", 0), ("王", 1)]
    assert len(rows(store, "SELECT * FROM reveals")) == 1


def test_audited_group_is_not_offered_to_a_reader_who_was_shown_it(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", [key()], audit=audit_of([key()])) as store:
        people = People(store)
        uid = people.say("李", key(), "pass")
        store.reveal(people.session("李"), people.ids[key()])
        people.undo("李", uid)
        assert (take_all(store, people.session("李")), store.left(people.session("李"), "main", None)) == ([], 0)
        assert take_all(store, people.session("王")) == [people.ids[key()]]


# ---- history ----


def test_wall_clock_set_back_gives_no_earlier_time(
    store: Store, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier export of the group would win over a later one: the latest row counts."""
    times = [datetime(2026, 2, 3, 9, 30, tzinfo=UTC), datetime(2026, 2, 3, 8, 30, tzinfo=UTC)]
    for time in times:
        monkeypatch.setattr(sessions, "datetime", SimpleNamespace(now=lambda time=time: time))
        uid = people.say("李", key(), "pass")
        people.undo("李", uid)
    at = [datetime.fromisoformat(row["at"]) for row in answer_rows(store)]
    assert at == [times[0] + timedelta(milliseconds=number) for number in range(4)]


def test_history_is_ones_own_newest_first(store: Store, people: People) -> None:
    uids = [people.say("李", key(f"QC-{number}"), "pass", "可见") for number in range(3)]
    people.undo("李", uids[1])
    assert [past.uid for past in store.history(people.session("李"))] == [uids[2], uids[0]]
    assert store.today(people.session("李")) == 2
    assert store.history(people.session("王")) == []
    assert store.today(people.session("王")) == 0


# ---- the lead ----


def test_lead_settles_what_readers_disagree_about(store: Store, people: People) -> None:
    with refused("answered"):
        people.decide(key("QC-0"), "pass")
    people.say("李", key("QC-0"), "fail")
    people.say("王", key("QC-0"), "pass")
    people.decide(key("QC-0"), "fail")
    assert queued_groups(store)["QC-0"]["need"] == "done"
    people.decide(key("QC-0"), "pass")
    assert [(row["reader"], row["label"], row["supersedes"]) for row in answer_rows(store)][2:] == [
        ("lead", "fail", None),
        ("lead", "pass", 3),
    ]
    with refused("sign_in"):
        store.lead_answer(people.session("李"), NewAnswer("uid-9", people.ids[key("QC-0")], "pass"))
