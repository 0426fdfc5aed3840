"""Labels files (`--labels`): what people say about groups, and what the latest word on each group is.

    mission,group_id,label_given,label,who,when
    挡风板安装检查,QC-1,pass,fail,Li,2026-02-03T09:30:00+08:00     ┐ the latest counts: QC-1 passes after all
    挡风板安装检查,QC-1,pass,pass,Wang,2026-02-04T10:00:00+08:00   ┘

    labels = read_labels([Path("labels.csv")], load_missions())
    labels.label_of(GroupKey("挡风板安装检查", "pass", "QC-1"))     "pass"

`.csv` files are those of a spreadsheet: UTF-8 with or without a byte-order mark, LF or CRLF, quoted cells, empty rows,
other columns (ignored), columns in any order, an apostrophe before what would be a formula (`spreadsheet.py`).
`.jsonl` files hold one object per line. The order of rows and of files has no effect. Two rows about one group with the
same time and different labels are an error that names both.
"""

import csv
import io
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from yanshou.errors import InputError
from yanshou.file_kind import FileKind, find_kind
from yanshou.missions import Missions
from yanshou.schema.label_row import LabelRow, LabelsUsed
from yanshou.schema.policy import FileDigest
from yanshou.schema.records import GroupKey, Label
from yanshou.storage.jsonl import read_errors
from yanshou.storage.read_groups import canonical_key, unique_paths
from yanshou.storage.spreadsheet import as_meant
from yanshou.storage.strict_json import describe_parse_error, parse
from yanshou.text import excerpt, truncate
from yanshou.validation import validation_message

COLUMNS = tuple(LabelRow.model_fields)
HEADER = ",".join(COLUMNS)
CORRECT = "Correct the row."
AS_UTF8 = "in Excel, save it as CSV UTF-8 (comma delimited)"
MAX_NAMED = 3  # groups that a warning names


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and its `file:line`."""

    place: str
    row: LabelRow


@dataclass(frozen=True, slots=True)
class Labels:
    """The latest row about each group, by its identity with the folder's label. Without files: no row."""

    latest: Mapping[GroupKey, PlacedRow] = field(default_factory=dict)
    files: tuple[FileDigest, ...] = ()

    def label_of(self, key: GroupKey) -> Label | None:
        """The row's label, else the folder's. None: unsure, or there is no label."""
        placed = self.latest.get(key)
        if placed is None:
            return key.label
        return None if placed.row.label == "unsure" else placed.row.label

    def is_unsure(self, key: GroupKey) -> bool:
        """Whether the latest row about the group says so."""
        placed = self.latest.get(key)
        return placed is not None and placed.row.label == "unsure"

    def used(self, keys: Iterable[GroupKey]) -> LabelsUsed | None:
        """What the rows do to these groups. None without labels files."""
        if not self.files:
            return None
        effects = Counter(_effect(key.label, placed.row) for key in keys if (placed := self.latest.get(key)))
        return LabelsUsed(files=list(self.files), **effects)

    def warnings(self, known: Iterable[GroupKey]) -> list[str]:
        """About rows whose group is none of `known`: those of missions that are not there are only counted."""
        known = set(known)
        missions = {key.mission for key in known}
        unknown = [(key, placed.place) for key, placed in self.latest.items() if key not in known]
        missing = sorted((place, key) for key, place in unknown if key.mission in missions)
        others = sorted({key.mission for key, _ in unknown if key.mission not in missions})
        return [*_missing_warning(missing), *_other_missions_warning(others, len(unknown) - len(missing))]


def read_labels(paths: Sequence[Path], missions: Missions) -> Labels:
    """Reads the files. An alias of a mission is replaced by its own name.

    Raises InputError, naming file and line, for what is no labels file and for rows that contradict each other.
    """
    rows: dict[GroupKey, list[PlacedRow]] = {}
    files: list[FileDigest] = []
    for path in unique_paths(paths):
        with read_errors(path):
            data = path.read_bytes()
        files.append(FileDigest(file=path.name, sha256=sha256(data).hexdigest()))
        for placed in _read_rows(path, data):
            rows.setdefault(canonical_key(placed.row.key, missions), []).append(placed)
    return Labels({key: _latest(key, placed) for key, placed in rows.items()}, tuple(files))


def _effect(given: Label | None, row: LabelRow) -> str:
    if row.label == "unsure":
        return "unsure"
    if given is None:
        return "added"
    return "confirmed" if row.label == given else f"{given}_to_{row.label}"


def _latest(key: GroupKey, rows: Sequence[PlacedRow]) -> PlacedRow:
    """The row with the latest time. Earlier rows may contradict each other: a later one has settled it."""
    when = max(placed.row.when for placed in rows)
    first, *others = (placed for placed in rows if placed.row.when == when)
    for other in others:
        if other.row.label != first.row.label:
            raise InputError(
                f"{other.place}: group {key} is {other.row.label}, and {first.row.label} at {first.place}, both at "
                f"{other.row.when.isoformat()}. Add a row with a later time, or delete one of the two."
            )
    return first


def _missing_warning(missing: Sequence[tuple[str, GroupKey]]) -> Iterator[str]:
    if missing:
        named = "; ".join(f"{place}: group {key}" for place, key in missing[:MAX_NAMED])
        more = f"; and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        yield (
            f"labels of {len(missing)} groups that are not there, so they have no effect: {named}{more}. Check "
            "mission, group_id and label_given, which is the folder's label"
        )


def _other_missions_warning(missions: Sequence[str], groups: int) -> Iterator[str]:
    if missions:
        names = ", ".join(map(truncate, missions[:MAX_NAMED])) + (", …" if len(missions) > MAX_NAMED else "")
        yield f"labels of {groups} groups are about missions without a group here: {names}"


# ---- rows ----


def _read_rows(path: Path, data: bytes) -> Iterator[PlacedRow]:
    text = _decode(path, data)
    match path.suffix.lower():
        case ".csv":
            rows = _csv_rows(path, text)
        case ".jsonl":
            rows = _json_rows(path, text)
        case _:
            raise InputError(f"{path}: a labels file ends with .csv or .jsonl. Rename it, or give another file.")
    empty = True
    for number, values in rows:
        empty = False
        yield _validated(f"{path}:{number}", values)
    if empty:
        raise InputError(f"{path}: no row. Give a file with at least one row of labels.")


def _decode(path: Path, data: bytes) -> str:
    """The text, without the byte-order mark that Excel writes. Raises InputError, naming what it is instead."""
    data = data.removeprefix(BOM_UTF8)
    if kind := find_kind(data):
        raise InputError(f"{path}: the whole file is {kind.what}: {_cure(kind)}.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        near = excerpt(data[max(error.start - 15, 0) : error.start + 15])
        raise InputError(f"{path}:{line}: not UTF-8: {near}. {CORRECT}") from error


def _cure(kind: FileKind) -> str:
    return f"{AS_UTF8}, or {kind.cure}" if "UTF-8" in kind.what or "Excel" in kind.what else kind.cure


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number, from 1, and the cells of the six columns. Rows of empty cells are those of a spreadsheet's end."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    columns: dict[str, int] = {}
    try:
        for cells in reader:
            number, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(f"{path}:{number}", cells)
                width = len(cells)
                continue
            if any(cell.strip() for cell in cells[width:]):
                raise InputError(
                    f"{path}:{number}: {len(cells)} cells for {width} columns. Quote a cell that holds a comma."
                )
            yield number, {name: as_meant(cells[at]) if at < len(cells) else "" for name, at in columns.items()}
    except csv.Error as error:
        raise InputError(
            f"{path}:{begin}: not CSV: {error}. Close every quoted cell, and double quotes in it."
        ) from error


def _columns(place: str, cells: Sequence[str]) -> dict[str, int]:
    """Where each of the six columns is. Raises InputError for one that is missing or there twice."""
    names = [cell.strip().casefold() for cell in cells]
    for name in COLUMNS:
        if name not in names:
            other = next((mark for mark in (";", "\t") if mark in cells[0]), "")
            cure = f"Cells are separated by {excerpt(other)}: use commas." if other else f"The first row is {HEADER}."
            raise InputError(f"{place}: column {name} is missing among {excerpt(', '.join(cells))}. {cure}")
        if names.count(name) > 1:
            raise InputError(f"{place}: column {name} is there twice. Delete one.")
    return {name: names.index(name) for name in COLUMNS}


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number, from 1, and the six keys of the object. A missing key stays missing."""
    for number, line in enumerate(text.encode("utf-8").splitlines(keepends=True), 1):
        try:
            values = parse(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{number}: {describe_parse_error(error, line)}. {CORRECT}") from error
        yield number, {name: values[name] for name in COLUMNS if name in values}


def _validated(place: str, values: Mapping[str, Any]) -> PlacedRow:
    try:
        return PlacedRow(place, LabelRow.model_validate(values))
    except ValidationError as error:
        group = values.get("group_id")
        which = f" (group {truncate(group)})" if isinstance(group, str) and group.strip() else ""
        raise InputError(f"{place}: {validation_message(error)}{which}. {CORRECT}") from error
