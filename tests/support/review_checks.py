"""What a store must hold after clients have answered, compared with the journal of what they were told."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from support.cli_runs import run
from support.review_client import Journal, Sent
from yanshou.missions import load_missions
from yanshou.storage.labels_file import read_labels

Row = sqlite3.Row


def rows(store: Path, sql: str, *values: Any) -> list[Row]:
    """The rows of a query, by a connection of its own that only reads."""
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return db.execute(sql, values).fetchall()


def faults(store: Path, journal: Journal, confirmed: Sequence[Sent], *, at_rest: bool) -> list[str]:
    """What is wrong in the store. `at_rest`: no request is under way, so it holds nothing but what clients know."""
    checked = [row[0] for row in rows(store, "PRAGMA integrity_check")]
    found = [] if checked == ["ok"] else [f"integrity_check: {checked}"]
    found += [f"foreign key: {tuple(row)}" for row in rows(store, "PRAGMA foreign_key_check")]
    answers = rows(store, "SELECT * FROM answers ORDER BY id")
    found += [*_lost(answers, confirmed), *_doubled(answers), *journal.violations]
    if at_rest:
        found += _unknown(answers, journal.sent)
    return found


def _lost(answers: Sequence[Row], confirmed: Sequence[Sent]) -> Iterator[str]:
    """Confirmed answers that are not there, or with another content."""
    stored = {row["uid"]: (row["group_ref"], row["reader"], row["label"], row["reason"] or "") for row in answers}
    for sent in confirmed:
        told = (sent.group, sent.reader, sent.label, sent.reason)
        if stored.get(sent.uid) != told:
            yield f"lost: {told}, stored: {stored.get(sent.uid)}"


def _doubled(answers: Sequence[Row]) -> Iterator[str]:
    """Ids that are there twice, and second answers of one reader on a group without an undo between."""
    yield from (f"uid {uid} twice" for uid, count in Counter(row["uid"] for row in answers).items() if count > 1)
    answered = dict[tuple[int, str], bool]()
    for row in answers:
        place = row["group_ref"], row["reader"]
        if row["label"] is not None and answered.get(place):
            yield f"doubled: {place}"
        answered[place] = row["label"] is not None


def _unknown(answers: Sequence[Row], sent: Sequence[Sent]) -> Iterator[str]:
    """Rows that no client was told of, or was told that they are not there."""
    confirmed = {one.uid for one in sent if one.confirmed}
    yield from (f"not confirmed: {tuple(row)}" for row in answers if row["uid"] not in confirmed)
    yield from (f"no reply: {one}" for one in sent if not one.confirmed and not one.refusal)


def expected_labels(journal: Journal) -> dict[int, str | None]:
    """Group → its label after these readings; None: they disagree. Not for groups of an audit."""
    said = defaultdict[int, list[str]](list)
    for (group, _), sent in journal.readings().items():
        assert sent.label is not None
        said[group].append(sent.label)
    return {group: _settled(labels) for group, labels in said.items()}


def _settled(labels: Sequence[str]) -> str | None:
    if len(set(labels)) == 1 and (len(labels) < 3 or labels[0] != "unsure"):
        return labels[0]
    passes, fails = labels.count("pass"), labels.count("fail")
    if len(labels) < 3 or max(passes, fails) < 2 or passes == fails:
        return None
    return "pass" if passes > fails else "fail"


def export_faults(store: Path, journal: Journal, folder: Path) -> list[str]:
    """What `yanshou review-export` says otherwise than the clients were told."""
    output = folder / "labels.csv"
    ran = run("review-export", "--store", str(store), "--output", str(output))
    assert ran.exit_code == 0, ran.output
    names = {(row["mission"], row["label"], row["group_id"]): row["id"] for row in rows(store, "SELECT * FROM groups")}
    latest = read_labels([output], load_missions()).latest
    labels = {names[key.mission, key.label or "", key.group_id]: placed.row.label for key, placed in latest.items()}
    wanted = {group: label for group, label in expected_labels(journal).items() if label is not None}
    told = Counter(sent.uid for sent in journal.confirmed())
    lines = output.with_suffix(".answers.jsonl").read_text(encoding="utf-8").splitlines()
    exported = Counter(json.loads(line)["uid"] for line in lines)
    found = [f"exported label {item}" for item in labels.items() ^ wanted.items()]
    return found + [f"exported answer {uid}" for uid in (exported - told) + (told - exported)]
