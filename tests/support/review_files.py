"""Files that `yanshou review` reads, of a small world: real photos, Stage-A lines, verdicts, decisions, an audit.

    files = write_review_files(tmp_path, 30, audit=4)
    run("review", "--store", …, str(files.verdicts))

Groups take the kinds in turn:

    false release   released, but the rules say fail
    doubt           between the thresholds: neither released nor blocked
    clear           released, far from the threshold, and the rules agree
    blocked         blocked, and the rules agree
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from support.decision_lines import decided
from support.judged_files import write_judged
from support.lines import BAD, GOOD, GROUNDING, LABEL_DIRS, Line, stage_a_line, verdict, write_lines
from support.photos import photo_file
from yanshou.audit.draw import draw_audit
from yanshou.settings import AuditDrawSettings

SIZES = ((320, 240), (240, 320), (300, 300))  # width, height


class Kind(NamedTuple):
    """What the machine says about groups of one kind."""

    summary: str
    says: str
    p: float
    decision: str


FALSE_RELEASE = Kind(BAD, "pass", 0.99, "release")
DOUBT = Kind(GOOD, "fail", 0.60, "review")
CLEAR = Kind(GOOD, "pass", 0.98, "release")
BLOCKED = Kind(BAD, "fail", 0.02, "block")
QUEUED = (FALSE_RELEASE, DOUBT)
ALL = (FALSE_RELEASE, DOUBT, CLEAR, BLOCKED)


@dataclass(frozen=True, slots=True)
class ReviewFiles:
    """Where the files of one mission are."""

    folder: Path
    verdicts: Path
    decisions: Path
    stage_a: Path
    lines: list[Line]  # of Stage-A
    audit: Path | None

    def photos(self, group: int) -> list[Path]:
        """The photos of the n-th group, from 0."""
        return [Path(path) for path in self.lines[group]["images"]]


def write_review_files(
    folder: Path,
    groups: int = 30,
    photos: int = 2,
    *,
    kinds: Sequence[Kind] = QUEUED,
    mission: str = GROUNDING,
    labels: Sequence[str] = ("pass", "fail"),
    audit: int = 0,
    pictures: Sequence[Path] = (),
) -> ReviewFiles:
    """Writes a mission's files.

    `labels`: of the folders, in turn. `audit`: size of the sample. `pictures`: photos are hard links to these in turn.
    """
    pictures = pictures or draw_pictures(folder / "pictures")
    lines, verdicts, decisions = [], [], []
    for number in range(groups):
        kind, name = kinds[number % len(kinds)], f"QC-20260118-{number:07}"
        label = labels[number // len(kinds) % len(labels)]
        images = [
            _linked(pictures[(number * photos + n) % len(pictures)], _photo(folder, mission, label, name, n))
            for n in range(1, photos + 1)
        ]
        texts = [f"{kind.summary}，标签/{number}-{n}×1" for n in range(1, photos + 1)]
        lines.append(stage_a_line(name, label, *texts, mission=mission, images=images))
        verdicts.append(verdict(name, label, kind.says, kind.p, mission=mission))
        decisions.append(decided(name, kind.decision, label, mission=mission, p_pass=kind.p))
    file = write_judged(folder, verdicts, lines, mission=mission)
    decided_file = write_lines(folder / f"{mission}_decisions.jsonl", decisions)
    drawn = _draw(decided_file, audit, folder / "audit.json") if audit else None
    return ReviewFiles(folder, file, decided_file, folder / f"{mission}_stage_a.jsonl", lines, drawn)


def draw_pictures(folder: Path, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Path]:
    """JPEGs with GPS in their EXIF; their orientations differ."""
    return [photo_file(folder / f"{number}.jpg", number, size) for number, size in enumerate(sizes, 1)]


def _photo(folder: Path, mission: str, label: str, name: str, number: int) -> Path:
    return folder / "in" / mission / LABEL_DIRS[label] / name / f"{name}_{number}.jpeg"


def _linked(picture: Path, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(picture, path)
    return str(path)


def _draw(decisions: Path, size: int, output: Path) -> Path:
    draw_audit(AuditDrawSettings(decisions=(decisions,), size=size, output=output))
    return output
