"""Who gave the verdicts of a mission: a checkpoint, a server's model, the rules, or a program that is not known.

    …/models/qwen3-vl-4b-bbu, fingerprint 4f0c21ab…     checkpoint   qwen3-vl-4b-bbu 4f0c21ab
    an adapter on it, …/run/checkpoint-200, 77aa90ff…   checkpoint   checkpoint-200 77aa90ff + 4f0c21ab
    --endpoint … --model qwen3-vl-30b                   model        qwen3-vl-30b
    --rules                                             rules        rules
    no run file, or one that names none of these        unknown      unknown judge

Figures belong to one judge. So two judges of one mission are refused, and missions that different judges judged have no
total. Two checkpoints are one judge if everything that a resume of `yanshou judge` needs is the same; across missions
their own prompts may differ. A threshold is no part of a judge. Files whose judge is unknown are taken to have
one judge if they are about different missions, with a warning; two such files of one mission are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from yanshou.errors import InputError
from yanshou.schema.run_record import RunRecord
from yanshou.stage_b.verdict_tasks import RULES, VerdictTask
from yanshou.storage.settings_diff import differences
from yanshou.text import truncate

Kind = Literal["checkpoint", "model", "rules", "unknown"]
FINGERPRINTS = ("adapter", "checkpoint")  # keys of a run file's settings
SHOWN = 8  # characters of a fingerprint in a name
LONGEST = 40  # characters of a folder's or a model's name
OF_MISSION = ("rule", "prompts.rule", "prompts.focus")  # settings that differ between the missions of one judge

Runs = Mapping[Path, RunRecord | None]


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge, as its run file describes it."""

    kind: Kind
    name: str  # for people: what judged, and the start of its fingerprint
    settings: Mapping[str, Any]  # of its run file

    @classmethod
    def of(cls, run: RunRecord | None) -> "Judge":
        """The judge that a run file names. None: the file is missing or damaged."""
        if run is None:
            return UNKNOWN
        kind, name = _kind_and_name(run)
        return UNKNOWN if kind == "unknown" else cls(kind, name, run.settings)

    def differs_from(self, other: "Judge", ignored: Sequence[str] = ()) -> list[str]:
        """The settings by which this is another judge. `ignored`: settings, with all below them, that may differ."""
        changes = [change.key for change in differences(self.settings, other.settings)]
        below = tuple(f"{key}." for key in (*VerdictTask.may_change, *ignored))
        return [key for key in changes if not f"{key}.".startswith(below)]

    def to_dict(self) -> dict[str, Any]:
        prints = {name: self.settings[name] for name in (*FINGERPRINTS, "model") if self.settings.get(name) is not None}
        return {"kind": self.kind, "name": self.name, **({} if self.kind == "rules" else prints)}


UNKNOWN = Judge("unknown", "unknown judge", {})


def judges_of_missions(files: Mapping[str, Sequence[Path]], runs: Runs) -> dict[str, Judge]:
    """The judge of each mission. `files`: the files of verdicts by mission. Raises InputError for two judges of one."""
    return {mission: _only_judge(mission, paths, runs) for mission, paths in files.items()}


def one_judge(judges: Sequence[Judge]) -> Judge | None:
    """The judge of several missions together; None: they have different ones."""
    first = judges[0]
    return None if any(first.differs_from(judge, OF_MISSION) for judge in judges) else first


def judge_warnings(judges: Mapping[str, Judge], files: Mapping[str, Sequence[Path]]) -> list[str]:
    """What the reader must know about the judges before the figures."""
    warnings = []
    unknown = {path for mission, judge in judges.items() if judge.kind == "unknown" for path in files[mission]}
    if len(unknown) > 1:
        warnings.append(
            f"who judged is unknown for {len(unknown)} files of verdicts, whose run files are missing or name nobody: "
            "they are taken to have one judge"
        )
    if one_judge(list(judges.values())) is None:
        named = "; ".join(f"{mission}: {judge.name}" for mission, judge in judges.items())
        warnings.append(f"the missions were judged by different judges, so there is no row for all of them ({named})")
    return warnings


def _only_judge(mission: str, paths: Sequence[Path], runs: Runs) -> Judge:
    first = Judge.of(runs[paths[0]]) if paths else UNKNOWN
    for path in paths[1:]:
        other = Judge.of(runs[path])
        if first.kind == other.kind == "unknown":
            raise InputError(
                f"{mission}: who gave its verdicts is unknown for {paths[0]} and {path}, whose run files are missing "
                "or name nobody, so verdicts of two judges might be mixed. Give one file of verdicts per mission, "
                "evaluate them one at a time, each with its own --output-dir, or put the run files back beside them."
            )
        if keys := first.differs_from(other):
            raise InputError(
                f"{mission}: two judges gave its verdicts, {first.name} ({paths[0]}) and {other.name} ({path}). They "
                f"differ in: {', '.join(keys)}. Figures of two judges cannot be pooled: evaluate their files one at a "
                "time, each with its own --output-dir."
            )
    return first


def _kind_and_name(run: RunRecord) -> tuple[Kind, str]:
    prints = [str(run.settings[key]) for key in FINGERPRINTS if run.settings.get(key) is not None]
    if prints == [RULES]:
        return "rules", RULES
    if prints:
        folder = run.environment.get("adapter_folder") or run.environment.get("checkpoint_folder")
        shown = " + ".join(one[:SHOWN] for one in prints)
        return "checkpoint", f"{truncate(folder_name(folder), LONGEST)} {shown}" if folder else shown
    if run.settings.get("model") is not None:
        return "model", truncate(str(run.settings["model"]), LONGEST)
    return "unknown", ""


def folder_name(folder: object) -> str:
    """The name of a checkpoint's folder; for one in the Hugging Face cache the name of its model."""
    path = Path(str(folder))
    if path.parent.name == "snapshots":
        return path.parent.parent.name.removeprefix("models--").replace("--", "/")
    return path.name
