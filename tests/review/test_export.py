"""From a store to a labels file: what is in it, what is named instead, and what `--labels` makes of it."""

import csv
import io
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lines import GROUNDING, SHIELD
from support.mounts import in_own_mounts, read_only
from support.review_answers import People, audit_of, imported, key, open_store

from yanshou.errors import InputError
from yanshou.missions import load_missions
from yanshou.review.agreement import Seconds
from yanshou.review.export import Export, answers_path, export, write
from yanshou.review.reader_figures import ReaderFigures
from yanshou.review.store.database import read_store
from yanshou.review.store.readings import GroupRule, lead_answer, next_step, readings
from yanshou.review.store.snapshot import Snapshot, StoredAnswer, StoredGroup, read_snapshot
from yanshou.review.store.store import Store
from yanshou.schema.answer_line import AnswerLine
from yanshou.schema.records import GroupKey
from yanshou.storage.jsonl import read_records
from yanshou.storage.labels_file import COLUMNS, read_labels

ONE, TWO, THREE = key("QC-1"), key("QC-2"), key("QC-3", None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review.sqlite"


def exported(store: Path, output: Path) -> Export:
    found = export(read_snapshot(store))
    write(found, output)
    return found


def rows(labels: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(labels.read_text("utf-8-sig"), newline="")))


def test_settled_groups_are_rows_and_all_answers_are_lines_in_their_order(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE, TWO, THREE]) as store:
        people = People(store)
        people.say("李", THREE, "fail", "接地线未接", 7.5)
        undone = people.say("李", ONE, "fail")
        people.undo("李", undone, then="pass")
        found = exported(path, tmp_path / "labels.csv")  # while the store is open to write
    assert (found.labels, found.awaiting, found.unanswered) == ({"pass": 1, "fail": 1}, 0, 1)
    lines = [line for _, line in read_records(tmp_path / "labels.answers.jsonl", AnswerLine)]
    assert [(line.group_id, line.label, line.supersedes, line.seconds) for line in lines] == [
        ("QC-3", "fail", None, 7.5), ("QC-1", "fail", None, 10),
        ("QC-1", None, undone, None), ("QC-1", "pass", None, 5),
    ]  # fmt: skip
    assert lines[0].model_dump() == {
        "uid": lines[0].uid, "mission": GROUNDING, "group_id": "QC-3", "label_given": None, "reader": "李",
        "role": "reader", "label": "fail", "reason": "接地线未接", "blind": True, "sampled": False, "seconds": 7.5,
        "supersedes": None, "at": lines[0].at,
    }  # fmt: skip
    assert rows(tmp_path / "labels.csv") == [
        dict(zip(COLUMNS, (GROUNDING, "QC-1", "pass", "pass", "李", lines[3].at), strict=True)),
        dict(zip(COLUMNS, (GROUNDING, "QC-3", "", "fail", "李", lines[0].at), strict=True)),
    ]


def test_the_row_of_two_readers_has_both_names_and_the_later_time(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE]) as store:
        people = People(store)
        people.say("李", ONE, "fail")  # contradicts the folder: a second reader
        assert exported(path, tmp_path / "labels.csv").awaiting == 1
        people.say("王", ONE, "fail")
        assert exported(path, tmp_path / "labels.csv").awaiting == 0
    (row,) = rows(tmp_path / "labels.csv")
    (_, last) = read_records(tmp_path / "labels.answers.jsonl", AnswerLine)
    assert (row["label"], row["who"], row["when"]) == ("fail", "李, 王", last[1].at)


def test_readers_who_disagree_are_named_until_a_third_or_the_lead_settles_it(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE, TWO], second_share=1) as store:
        people = People(store)
        for group in (ONE, TWO):
            people.say("李", group, "pass")
            people.say("王", group, "fail")
        found = exported(path, tmp_path / "labels.csv")
        assert (found.disputed, found.labelled) == ([ONE, TWO], [])
        people.say("陈", ONE, "fail")
        people.decide(TWO, "pass")
        found = exported(path, tmp_path / "labels.csv")
    assert (found.disputed, [each.key for each in found.labelled]) == ([], [ONE, TWO])
    assert [(row["label"], row["who"]) for row in rows(tmp_path / "labels.csv")] == [
        ("fail", "王, 陈"),
        ("pass", "lead"),
    ]


def test_an_audited_group_is_exported_when_it_is_settled(path: Path, tmp_path: Path) -> None:
    """A first answer that another reader may overturn is no answer to an audit."""
    with open_store(path, [ONE, TWO], audit_of([ONE, TWO])) as store:
        people = People(store)
        people.say("李", ONE, "unsure")
        people.say("李", TWO, "fail")
        found = exported(path, tmp_path / "labels.csv")
        assert (found.unsettled, found.labelled) == ([ONE, TWO], [])
        people.say("王", TWO, "fail")
        people.say("王", ONE, "unsure")
        people.decide(ONE, "unsure")
        assert exported(path, tmp_path / "labels.csv").labels == {"unsure": 1, "fail": 1}


def test_the_same_store_gives_the_same_bytes_and_is_not_written(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE, TWO, key("QC-9", "fail", SHIELD)]) as store:
        people = People(store)
        people.say("李", TWO, "pass")
        people.say("李", key("QC-9", "fail", SHIELD), "fail")
    before = path.read_bytes()
    exported(path, tmp_path / "a.csv")
    exported(path, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.answers.jsonl").read_bytes() == (tmp_path / "b.answers.jsonl").read_bytes()
    assert path.read_bytes() == before
    assert (tmp_path / "a.csv").read_bytes().startswith(b'\xef\xbb\xbf"mission"')  # Excel reads UTF-8 by its mark


def test_a_closed_store_is_read_as_the_file_that_it_is(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE]) as store:
        People(store).say("李", ONE, "pass")
    assert len(read_snapshot(path).answers) == 1
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("review.sqlite")] == ["review.sqlite"]


def test_a_copy_with_its_log_has_the_answers_of_a_running_server(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE]) as store:
        People(store).say("李", ONE, "pass")
        (tmp_path / "copy").mkdir()
        for suffix in ("", "-wal"):
            copy(f"{path}{suffix}", tmp_path / "copy" / f"review.sqlite{suffix}")
    assert len(read_snapshot(tmp_path / "copy" / "review.sqlite").answers) == 1


def test_a_store_on_a_disk_that_cannot_be_written_is_read(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE]) as store:
        People(store).say("李", ONE, "pass")
        (tmp_path / "copy").mkdir()
        for suffix in ("", "-wal"):
            copy(f"{path}{suffix}", tmp_path / "copy" / f"review.sqlite{suffix}")

    def read() -> tuple[int, str]:
        read_only(tmp_path)
        with pytest.raises(InputError) as with_log:
            read_snapshot(tmp_path / "copy" / "review.sqlite")
        return len(read_snapshot(path).answers), str(with_log.value)

    answers, message = in_own_mounts(read)
    assert answers == 1
    assert "newer answers are in review.sqlite-wal, which SQLite reads only in a folder that it can write." in message


def test_a_store_that_a_server_wrote_meanwhile_is_read_again(path: Path) -> None:
    """A server starts, takes an answer and ends, while the closed store is being read."""
    open_store(path, [ONE]).close()
    found: list[int] = []

    def read(db: sqlite3.Connection) -> int:
        found.append(len(db.execute("SELECT id FROM answers").fetchall()))
        if len(found) == 1:
            with Store.open(path) as store:
                People(store).say("李", ONE, "pass")
        return found[-1]

    assert read_store(path, read) == 1
    assert found == [0, 1]


def test_groups_that_are_not_queued_are_not_counted_as_unanswered(path: Path) -> None:
    with open_store(path, [ONE]) as store:
        store.add_groups([imported(TWO, why=None)])
    assert export(read_snapshot(path)).unanswered == 1


def test_an_interrupted_export_is_finished_by_the_next(path: Path, tmp_path: Path) -> None:
    """A process that was killed between the two files leaves the first, and the draft of the second."""
    with open_store(path, [ONE]) as store:
        People(store).say("李", ONE, "pass")
    exported(path, tmp_path / "labels.csv")
    answers = (tmp_path / "labels.answers.jsonl").rename(tmp_path / ".labels.answers.jsonl.new").read_bytes()
    exported(path, tmp_path / "labels.csv")
    assert (tmp_path / "labels.answers.jsonl").read_bytes() == answers


def test_an_export_beside_servers_that_start_and_stop_sees_whole_answers(path: Path) -> None:
    """Each server reads one more group and ends, which moves the log into the store under the reader's hands."""
    keys = [key(f"QC-{number}") for number in range(25)]
    open_store(path, keys).close()

    def serve() -> None:
        for group in keys:
            with Store.open(path) as store:
                People(store).say("李", group, "pass")

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve)
        counts = []
        while not serving.done():
            snapshot = read_snapshot(path)
            assert sum(group.need == "done" for group in snapshot.groups.values()) == len(snapshot.answers)
            counts.append(len(snapshot.answers))
        serving.result()
    assert counts == sorted(counts)
    assert len(read_snapshot(path).answers) == len(keys)


def test_a_labels_file_that_somebody_typed_is_not_overwritten(path: Path, tmp_path: Path) -> None:
    with open_store(path, [ONE]):
        pass
    (tmp_path / "labels.csv").write_text("typed by hand")
    with pytest.raises(InputError, match=r"no labels\.answers\.jsonl beside it, so it was not written by `yanshou re"):
        exported(path, tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == "typed by hand"


# ---- every history, every name ----

NAMES = st.sampled_from(["李", "王", "陈"])
ROLES = st.sampled_from(["reader", "reader", "reader", "lead"])
SAID = st.sampled_from(["pass", "fail", "unsure", None])
HISTORIES = st.lists(st.tuples(NAMES, ROLES, SAID, st.booleans()), max_size=7)
RULES = st.builds(GroupRule, st.sampled_from(["pass", "fail", None]), st.booleans(), st.booleans())
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
RISKY = st.text(st.sampled_from("=+-@＝'\",\t\r\n 李1"), min_size=1, max_size=6)


def snapshot(groups: list[tuple[GroupKey, GroupRule, list[tuple[str, str, Any, bool]]]]) -> Snapshot:
    """Groups with the answers that they would have in a store: one minute apart."""
    stored, answers = {}, []
    for group, (identity, rule, history) in enumerate(groups, 1):
        stored[group] = StoredGroup(group, identity, rule, True, "first")
        for reader, role, label, blind in history:
            at = f"2026-02-03T{len(answers) // 60:02}:{len(answers) % 60:02}:00.000+08:00"
            id_ = len(answers) + 1
            answers.append(StoredAnswer(reader, role, label, blind, at, id_, str(id_), group, None, None, 1.0))
    return Snapshot(stored, answers, None)


def labels_of(found: Export) -> Any:
    with TemporaryDirectory() as folder:
        write(found, Path(folder) / "labels.csv")
        return read_labels([Path(folder) / "labels.csv"], load_missions()).latest if found.labelled else {}


@settings(max_examples=200, deadline=None)
@given(RULES, HISTORIES)
def test_no_history_is_exported_while_its_readers_disagree(rule: GroupRule, history: list[Any]) -> None:
    group = key(folder=rule.folder)
    whole = snapshot([(group, rule, history)])
    found = export(whole)
    assert len(found.labelled) + len(found.disputed) + len(found.unsettled) + found.unanswered == 1
    said = [reading.label for reading in readings(whole.answers)]
    lead = lead_answer(whole.answers)
    for each in found.labelled:
        if lead:
            assert each.outcome.label == lead.label
        else:
            assert len({*said}) == 1 or said.count(each.outcome.label) >= 2
            assert not rule.audit or next_step(whole.answers, rule) == "done"
            others = [label for label in said if label != each.outcome.label]
            assert said.count(each.outcome.label) > max(map(others.count, others), default=0)
    if not lead and len({*said}) == len(said) > 1:
        assert not found.labelled


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS | RISKY, TEXTS | RISKY, st.sampled_from(["pass", "fail", None])), max_size=5))
def test_every_name_comes_back_from_the_labels_file_or_is_named(names: list[tuple[str, str, Any]]) -> None:
    keys = {key(group, folder): reader for group, reader, folder in names}
    rule = GroupRule(None, sampled=False, audit=False)
    found = export(snapshot([(each, rule, [(reader, "reader", "pass", True)]) for each, reader in keys.items()]))
    assert {*(each.key for each in found.labelled), *found.unwritable} == set(keys)
    assert all(key.group_id != key.group_id.strip() or not keys[key].strip() for key in found.unwritable)
    read = labels_of(found)
    assert {key: placed.row.who for key, placed in read.items()} == {
        each.key: each.outcome.who[0].strip() for each in found.labelled
    }


# ---- readers ----


@pytest.mark.parametrize("blind", [(True, False), (False, True), (False, False)])
def test_a_pair_counts_only_where_both_readings_are_blind(blind: tuple[bool, bool]) -> None:
    rule = GroupRule(None, sampled=True, audit=False)
    history = [("李", "reader", "pass", blind[0]), ("王", "reader", "pass", blind[1])]
    found = ReaderFigures.of(snapshot([(ONE, rule, history)])).agreement
    assert (found.pooled.pairs, found.not_blind) == (0, 1)


def test_a_lead_who_also_reads_has_the_time_of_reading_alone() -> None:
    rule = GroupRule(None, sampled=True, audit=False)
    said = [("李", "reader", "pass"), ("王", "reader", "fail"), ("陈", "reader", "unsure"), ("李", "lead", "pass")]
    found = ReaderFigures.of(snapshot([(ONE, rule, [(*each, True) for each in said])]))
    assert found.seconds == Seconds(3, 1, 1)  # a second each


def test_pairs_are_the_first_two_blind_readings_and_seconds_are_per_group(path: Path) -> None:
    with open_store(path, [ONE, TWO, THREE], second_share=1) as store:
        people = People(store)
        undone = people.say("李", ONE, "fail", seconds=20)
        people.say("王", ONE, "fail", seconds=8)
        people.undo("李", undone, then="pass")  # 20 s and 5 s
        people.say("陈", ONE, "fail", seconds=30)  # a third reader is in no pair
        people.say("李", TWO, "pass", seconds=10)
        store.reveal(people.session("李"), people.ids[TWO])
        with store.reading() as db:
            (answer,) = db.execute("SELECT uid FROM answers WHERE group_ref = ?", (people.ids[TWO],)).fetchone()
        people.undo("李", answer, then="fail")  # no longer blind
        people.say("王", TWO, "fail", seconds=9)
        figures = ReaderFigures.of(read_snapshot(path))
    assert figures.agreement.drawn.table.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert (figures.agreement.not_blind, list(figures.agreement.readers)) == (1, [("李", "王")])
    assert {name: found and (found.groups, found.median) for name, found in figures.of_reader.items()} == {
        "李": (2, 20), "王": (2, 8.5), "陈": (1, 30),
    }  # fmt: skip
    assert figures.seconds
    assert (figures.seconds.groups, figures.seconds.median) == (5, 15)
    assert json.loads(json.dumps(figures.to_dict()))["agreement"]["random_share"]["pairs"] == 1


def test_answers_path_is_beside_the_labels() -> None:
    assert answers_path(Path("out/labels.csv")) == Path("out/labels.answers.jsonl")
