"""An evaluation without the folders of this machine, for a page that leaves it.

    /data/现场 照片/审核通过/QC-1/1.jpg: ends early      →  …/1.jpg: ends early
    settings.stage_a: ["/data/out/…_stage_a.jsonl"]     →  ["…_stage_a.jsonl"]

The names of files and folders stay, because they say what judged and which photo is meant. Two kinds of text are not
touched: what a model or a person wrote about a group (summaries, reasons, ids), and prompts, in which only the folders
of the evaluated files are replaced.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judges import folder_name

CUT = "…/"
CHECKPOINT_FOLDERS = ("checkpoint_folder", "adapter_folder")  # keys of a run file's environment
WHOLE = re.compile(r"(?:file:/*|~|[A-Za-z]:|\\)?(?:[/\\][^/\\\n]+){2,}[/\\]?")
FOLDERS = re.compile(r"(?<![\w/.…])(?:file:/*(?=/)|~|[A-Za-z]:|\\)?[/\\](?:[^/\\\s\"'<>|，。；：:,;()（）]+[/\\])+")
BELOW = re.compile(r"…/(?:[^/…\n:;,\"'，。；：]+/)+")  # folders below one that was cut, perhaps with spaces
Scrub = Callable[[str], str]


def without_paths(evaluation: Evaluation) -> Evaluation:
    """The same figures and groups; the paths of photos stay in `images`, which no page shows."""
    files = [*evaluation.runs, *evaluation.verdict_files, *evaluation.stage_a_files]
    of_files = _folders([*map(str, files), str(Path.cwd() / "x"), str(Path.home() / "x")])
    photos = [photo for group in evaluation.groups for photo in group.images]
    scrub = _scrub({*of_files, *_folders(photos)})
    known = {field.name: getattr(evaluation, field.name) for field in fields(evaluation) if field.name != "groups"}
    cleaned = _Cleaner(scrub).clean(known)
    return replace(evaluation, **cleaned, groups=tuple(_group(group, of_files) for group in evaluation.groups))


def _group(group: JudgedGroup, of_files: set[str]) -> JudgedGroup:
    if group.fault is None:
        return group
    return replace(group, fault=_anywhere(_scrub({*of_files, *_folders(group.images)})(group.fault)))


def _folders(files: Iterable[str]) -> set[str]:
    """All absolute folders above the files, each with its last slash."""
    parents = {parent for file in {*files} for parent in Path(file).parents if parent.is_absolute()}
    return {f"{parent}/" for parent in parents if parent != parent.parent}


def _scrub(folders: set[str]) -> Scrub:
    longest_first = sorted(folders, key=len, reverse=True)

    def scrub(text: str) -> str:
        for folder in longest_first if "/" in text else ():
            text = text.replace(f"file://{folder}", CUT).replace(folder, CUT)
        return text

    return scrub


def _anywhere(text: str) -> str:
    """Without any absolute folder, known or not."""
    return BELOW.sub(CUT, FOLDERS.sub(CUT, text))


class _Cleaner:
    """Cleans all texts and paths in records of any shape, so that what is added to an evaluation is cleaned too."""

    def __init__(self, scrub: Scrub) -> None:
        self._scrub = scrub
        self._names: dict[Path, Path] = {}

    def clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.rstrip("/\\").rpartition("/")[2] if WHOLE.fullmatch(value) else _anywhere(self._scrub(value))
        if isinstance(value, Path):
            return self._name(value)
        if isinstance(value, Mapping):
            return {self.clean(key): self._value(key, inner) for key, inner in value.items()}
        if isinstance(value, tuple | list):
            parts = [self.clean(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, BaseModel):
            return value.model_copy(update={name: self.clean(inner) for name, inner in value})
        if is_dataclass(value) and not isinstance(value, type):
            of_init = [field.name for field in fields(value) if field.init]
            return replace(value, **{name: self.clean(getattr(value, name)) for name in of_init})
        return value

    def _value(self, key: Any, value: Any) -> Any:
        """A prompt's slashes are no paths: only known folders are replaced in it. A checkpoint keeps its name."""
        if key in CHECKPOINT_FOLDERS and isinstance(value, str):
            return folder_name(value)
        if key == "prompts" and isinstance(value, Mapping):
            return {name: self._scrub(text) if isinstance(text, str) else text for name, text in value.items()}
        return self.clean(value)

    def _name(self, path: Path) -> Path:
        """The file's name; a second file of that name gets a number."""
        if path not in self._names:
            same = sum(other.name == path.name for other in self._names)
            self._names[path] = Path(f"({same + 1}) {path.name}" if same else path.name)
        return self._names[path]
