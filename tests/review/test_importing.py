"""From files to the store: what enters it, and what is said about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.decision_lines import POLICY, decided
from support.judged_files import write_judged
from support.lines import BAD, GOOD, GROUNDING, SHIELD, Line, fault, stage_a_line, verdict, write_lines
from support.review_rows import answer_rows, queued_groups

from yanshou.errors import InputError
from yanshou.missions import load_missions
from yanshou.review.importing import Imported, QueueCounts, add_audit, import_files
from yanshou.review.judged_files import read_files
from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.store import Store
from yanshou.schema.audit import Audit, AuditedGroup, MissionPopulation
from yanshou.schema.records import GroupKey
from yanshou.settings import ReviewSettings
from yanshou.storage.atomic import replace_file
from yanshou.storage.jsonl import dump_line

MISSIONS = load_missions()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "review.sqlite") as opened:
        yield opened


def add(store: Store, *files: Path, audit: Path | None = None, all_groups: bool = False) -> Imported:
    settings = ReviewSettings(files=files, store=Path("review.sqlite"), audit=audit, all_groups=all_groups)
    return import_files(store, read_files(files, (), MISSIONS), settings)


def write_audit(folder: Path, *groups: str, label: str | None = None) -> Path:
    drawn = Audit(
        format=1, yanshou="0", created="2026-01-18T09:30:00+08:00", seed=0, policy=POLICY, decisions=[],
        missions={GROUNDING: MissionPopulation(released=9, blocked=0, review=0, sampled=len(groups))},
        groups=[AuditedGroup(group_id=group, mission=GROUNDING, label_given=label) for group in groups],
    )  # fmt: skip
    replace_file(folder / "audit.json", dump_line(drawn))
    return folder / "audit.json"


def four_kinds(folder: Path, *more: Line) -> Path:
    """A possible false release, a doubtful group, one that is clear, one without a line; all without photos there."""
    summaries = {"QC-1": BAD, "QC-2": GOOD, "QC-3": GOOD}
    lines = [stage_a_line(name, None, text) for name, text in summaries.items()]
    verdicts = [verdict("QC-1", None, p=0.99), verdict("QC-2", None, "fail", 0.58), verdict("QC-3", None, p=0.98)]
    low = [(stage_a_line("QC-0", None), verdict("QC-0", None, p=0.6))]  # the lowest that is released
    lines += [line for line, _ in low]
    verdicts += [said for _, said in low]
    missing = [fault("QC-4", None, "a.jpg: the file is empty", step="load")]
    return write_judged(folder, [*verdicts, *more], lines, stage_a_faults=missing)


def queued(store: Store) -> dict[str, str]:
    return {name: group["why"] for name, group in queued_groups(store).items()}


def answer_all(store: Store, name: str = "李") -> None:
    session = store.sign_in("reader", store.key("reader"))
    store.set_name(session, name)
    given, _ = store.next_groups(session, "main", None, [], 99)
    for number, group in enumerate(given.groups):
        store.answer(session, NewAnswer(f"uid-of-answer-{number}", group.id, "pass"))


def test_what_is_queued_and_what_is_said(tmp_path: Path, store: Store) -> None:
    found = add(store, four_kinds(tmp_path))
    assert queued(store) == {"QC-0": "false_release", "QC-1": "false_release", "QC-2": "doubt"}
    assert found.missions == {GROUNDING: QueueCounts(false_release=2, doubt=1, not_queued=1, without_line=1)}
    assert list(found.lines()) == [
        f"{GROUNDING}: 2 possible false releases, 1 doubtful; 1 not queued; 1 without a line of Stage-A",
        "groups: 4 new, 0 replaced, 0 as before, 0 kept as they were read",
    ]
    assert [warning for warning in found.warnings if "no line of Stage-A" in warning] == [
        f"1 groups have no line of Stage-A, so they are not queued: QC-4 ({GROUNDING}, no label): load: a.jpg: "
        "the file is empty"
    ]


def test_all_groups(tmp_path: Path, store: Store) -> None:
    found = add(store, four_kinds(tmp_path), all_groups=True)
    assert queued(store)["QC-3"] == "all"
    assert str(found.missions[GROUNDING]).startswith("2 possible false releases, 1 doubtful, 1 others; 0 not queued")


def test_missing_photos_are_counted(tmp_path: Path, store: Store) -> None:
    there = tmp_path / "there.jpg"
    there.write_bytes(b"")
    lines = [stage_a_line("QC-1", None, GOOD, GOOD, images=[str(there), "/gone/a\n.jpg"]), stage_a_line("QC-2", None)]
    found = add(store, write_judged(tmp_path, [verdict("QC-1", None), verdict("QC-2", None)], lines))
    (said,) = found.warnings
    assert said.startswith(r"2 of 3 photos, of 2 groups, are missing, first /gone/a\n.jpg. Readers see that they are.")


def test_verdict_about_other_summaries_is_doubtful_and_said(tmp_path: Path, store: Store) -> None:
    lines = [stage_a_line("QC-1", None, BAD), stage_a_line("QC-2", None)]
    file = write_judged(tmp_path, [verdict("QC-1", None), verdict("QC-2", None)], lines, bind=False)
    found = add(store, file)
    assert queued(store)["QC-1"] == "doubt"
    assert any(said.startswith("1 verdicts are about other summaries than those there") for said in found.warnings)


def test_same_files_again_change_nothing(tmp_path: Path, store: Store) -> None:
    file = four_kinds(tmp_path)
    add(store, file)
    answer_all(store)
    before = (queued_groups(store), answer_rows(store))
    found = add(store, file)
    assert (found.added.added, found.added.replaced, found.added.same, found.added.kept) == (0, 0, 4, ())
    assert (queued_groups(store), answer_rows(store)) == before


def test_later_files_add_and_replace_but_keep_what_is_answered(tmp_path: Path, store: Store) -> None:
    lines = [stage_a_line("QC-1", None, BAD), stage_a_line("QC-2", None, BAD)]
    add(store, write_judged(tmp_path, [verdict("QC-1", None)], lines[:1]))
    answer_all(store)
    verdicts = [verdict("QC-1", None, "fail", 0.2), verdict("QC-2", None)]
    found = add(store, write_judged(tmp_path, verdicts, lines))
    assert (found.added.added, found.added.replaced, found.added.kept) == (1, 0, (GroupKey(GROUNDING, None, "QC-1"),))
    assert "1 groups have answers and are kept as they were read, though the files say something else now: QC-1" in str(
        found.warnings
    )
    found = add(
        store, write_judged(tmp_path, [verdict("QC-1", None, "fail", 0.2), verdict("QC-2", None, p=0.7)], lines)
    )
    assert (found.added.added, found.added.replaced, len(found.added.kept)) == (0, 1, 1)
    assert len(queued_groups(store)) == 2


# ---- the audit ----


def test_audit_is_queued_among_the_others(tmp_path: Path, store: Store) -> None:
    found = add(store, four_kinds(tmp_path), audit=write_audit(tmp_path, "QC-3", "QC-1"))
    assert queued(store) == {"QC-0": "false_release", "QC-1": "false_release", "QC-2": "doubt", "QC-3": "audit"}
    assert found.missions == {GROUNDING: QueueCounts(false_release=2, doubt=1, audit=1, without_line=1)}
    assert {name for name, group in queued_groups(store).items() if group["audit"]} == {"QC-1", "QC-3"}


def test_same_audit_again_and_later_files(tmp_path: Path, store: Store) -> None:
    file, audit = four_kinds(tmp_path), write_audit(tmp_path, "QC-3")
    add(store, file)
    add_audit(store, audit)  # at a later start, without files
    assert queued(store)["QC-3"] == "audit"
    answer_all(store)
    add_audit(store, audit)
    for again in (add(store, file), add(store, file, audit=audit)):
        assert (again.added.same, again.added.kept) == (4, ())
        assert again.missions[GROUNDING].audit == 1
    assert queued(store)["QC-3"] == "audit"


def test_replaced_group_stays_in_the_audit(tmp_path: Path, store: Store) -> None:
    add(store, four_kinds(tmp_path), audit=write_audit(tmp_path, "QC-3"))
    write_lines(tmp_path / f"{GROUNDING}_stage_a.jsonl", [stage_a_line("QC-3", None)])
    found = add(store, write_judged(tmp_path, [verdict("QC-3", None, p=0.97), verdict("QC-0", None, p=0.6)]))
    assert found.added.replaced == 1
    assert queued(store)["QC-3"] == "audit"
    assert found.missions[GROUNDING].audit == 1


def test_another_audit_is_refused(tmp_path: Path, store: Store) -> None:
    file = four_kinds(tmp_path)
    add(store, file, audit=write_audit(tmp_path, "QC-3"))
    with pytest.raises(InputError, match="The store has another audit"):
        add_audit(store, write_audit(tmp_path, "QC-1"))


def test_audit_about_groups_without_a_line_adds_nothing(tmp_path: Path, store: Store) -> None:
    with pytest.raises(InputError, match=r"1 groups \(QC-4 .* of the audit are in none of the files"):
        add(store, four_kinds(tmp_path), audit=write_audit(tmp_path, "QC-3", "QC-4"))
    assert store.missions() == []
    assert store.audit is None


def test_audit_after_answers_about_its_groups_is_refused(tmp_path: Path, store: Store) -> None:
    file = four_kinds(tmp_path)
    add(store, file)
    answer_all(store)
    with pytest.raises(InputError, match=r"1 groups \(QC-1 .* of the audit have answers already"):
        add_audit(store, write_audit(tmp_path, "QC-1", "QC-3"))
    add_audit(store, write_audit(tmp_path, "QC-3"))
    assert queued(store)["QC-3"] == "audit"


def test_decisions_of_two_missions(tmp_path: Path, store: Store) -> None:
    files = []
    for mission in (GROUNDING, SHIELD):
        write_judged(tmp_path, [verdict("QC-1", None, p=0.97, mission=mission)], mission=mission)
        lines = [decided("QC-1", "review", mission=mission)]
        files.append(write_lines(tmp_path / f"{mission}_decisions.jsonl", lines))
    found = add(store, *files)
    assert found.missions == {GROUNDING: QueueCounts(doubt=1), SHIELD: QueueCounts(doubt=1)}
    assert sorted(store.missions()) == sorted([GROUNDING, SHIELD])
