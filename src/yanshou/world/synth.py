"""Draws groups of photos in the input layout, and writes the truth about them.

    demo/
    ├── BBU接地线检查/审核不通过/QC-20241022-0015063/        one group: one folder
    │   ├── QC-20241022-0015063_4176693.jpeg                图片_1
    │   └── QC-20241022-0015063_4176702.jpeg                图片_2, stored rotated, with an EXIF orientation
    ├── BBU接地线检查/审核通过/QC-20241022-0015063/          resubmitted: the same id, passed
    └── truth.jsonl                                         one line per group, written last

Group i depends on `Random(f"synth:{seed}:{i}")` only, so a set's first groups are byte-identical to a smaller set with
the same seed and missions, for any number of processes. Missions take turns. In each block of five groups of a mission
two fail.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process, resource_tracker
from pathlib import Path
from random import Random

from PIL import Image
from PIL.ExifTags import Base
from PIL.Image import Transpose

from yanshou.errors import OutputError, RunError, UsageError
from yanshou.inputs.label_folders import LABELS
from yanshou.inputs.orientation import TURNS
from yanshou.missions import Mission
from yanshou.schema.records import TRUTH, Label, TruthRecord, image_key
from yanshou.storage.atomic import replace_file
from yanshou.storage.jsonl import dump_line
from yanshou.text import excerpt
from yanshou.watchdog import end_with_parent
from yanshou.world.draw import draw
from yanshou.world.jobs import random_job
from yanshou.world.scene import Scene

BLOCK_SIZE, FAILS_PER_BLOCK = 5, 2  # groups
RESUBMITTED = 0.1  # share of blocks in which a failed group is there again, passed: about 3 % of the passing groups
PREFIXES = {"QC": 65, "QC-TEMP": 32, "QC-DEN": 3}  # prefix of a group id → weight
IDS = 10_000_000  # an id ends in seven digits
TURNED = 0.08  # share of photos stored with an EXIF orientation
QUALITY = (80, 95)  # lowest and highest JPEG quality
FOLDERS = {label: folder for folder, label in LABELS.items()}
PER_PROCESS = 16  # groups; for fewer, starting a process takes longer than drawing them


@dataclass(frozen=True, slots=True)
class Order:
    """One group to draw."""

    seed: int
    number: int  # index of the group in its set, from 0
    mission: Mission
    label: Label
    group_id: str


def synthesize(
    output_dir: Path,
    groups: int,
    seed: int,
    missions: Sequence[Mission],
    workers: int | None = None,
    progress: Callable[[TruthRecord], object] = lambda record: None,
) -> Path:
    """Draws `groups` groups into a new or empty folder, writes the truth about them, and returns the truth's path.

    `workers` is the number of drawing processes (None: one per core). More than one are spawned, so a script that calls
    this needs multiprocessing's `if __name__ == "__main__":`. `progress` is called with each group's truth. Raises
    UsageError if the folder is not empty, OutputError if it cannot be written, and InputError for a mission whose rule
    names items that the demo world doesn't have.
    """
    wanted = orders(groups, seed, missions)
    _prepare(output_dir)
    lines = []
    for record in _drawn(output_dir, wanted, workers or os.cpu_count() or 1):
        lines.append(dump_line(record))
        progress(record)
    replace_file(output_dir / TRUTH, b"".join(lines))
    return output_dir / TRUTH


def orders(groups: int, seed: int, missions: Sequence[Mission]) -> list[Order]:
    """The groups of a set, in order. Draws nothing."""
    if groups < 1 or not missions:
        raise UsageError(f"{groups} groups of {len(missions)} missions: give at least one of each")
    return [_order(seed, number, missions) for number in range(groups)]


def _order(seed: int, number: int, missions: Sequence[Mission]) -> Order:
    turn, which = divmod(number, len(missions))
    block, place = divmod(turn, BLOCK_SIZE)
    rng = Random(f"synth:{seed}:{missions[which].name}:{block}")
    failing = sorted(rng.sample(range(BLOCK_SIZE), FAILS_PER_BLOCK))
    later = [later for later in range(failing[0] + 1, BLOCK_SIZE) if later not in failing]
    resubmitted = rng.choice(later) if later and rng.random() < RESUBMITTED else None
    first = failing[0] if place == resubmitted else place  # a resubmitted group has the id of the failed one
    group_id = _group_id(seed, (block * BLOCK_SIZE + first) * len(missions) + which)
    return Order(seed, number, missions[which], "fail" if place in failing else "pass", group_id)


def _group_id(seed: int, number: int) -> str:
    """An id in the format of real ones. Numbers below 10 million get different ids."""
    rng = Random(f"synth:{seed}:id:{number}")
    prefix = rng.choices(tuple(PREFIXES), tuple(PREFIXES.values()))[0]
    date = f"{rng.choice((2024, 2025))}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    first = Random(f"synth:{seed}").randrange(IDS)
    return f"{prefix}-{date}-{(first + number * 9973) % IDS:07}"  # unique: 9973 and IDS have no common divisor


def _drawn(output_dir: Path, wanted: Sequence[Order], workers: int) -> Iterator[TruthRecord]:
    """Draws the groups, in order, in this process or in several if there are enough groups."""
    workers = min(workers, -(-len(wanted) // PER_PROCESS))
    if workers == 1:
        yield from (draw_group(output_dir, order) for order in wanted)
        return
    _start_quiet_tracker()
    # Spawned, not forked: a fork of a process that runs torch's threads can hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _tie_to_parent)
    try:
        yield from pool.map(partial(draw_group, output_dir), wanted, chunksize=4)
    except BrokenProcessPool as error:
        raise RunError(
            f"{output_dir}: a drawing process was killed. Delete the folder, free memory and run again."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_quiet_tracker() -> None:
    """Starts multiprocessing's tracker, which removes the semaphores of a killed process, without its warning of that.

    The warning would be printed after the command's last line, `interrupted`.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker:UserWarning")))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _tie_to_parent() -> None:
    """Leaves Ctrl-C to the parent process, and ends this process when the parent ends for any reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None
    end_with_parent(parent.join)


def draw_group(output_dir: Path, order: Order) -> TruthRecord:
    """Draws one group and returns the truth about it."""
    rng = Random(f"synth:{order.seed}:{order.number}")
    job = random_job(rng, order.mission, order.label)
    folder = output_dir / order.mission.name / FOLDERS[order.label] / _folder(order.group_id)
    shot = rng.randrange(1_000_000, 9_900_000)  # always seven digits, so photos sort in the order of the scenes
    try:
        folder.mkdir(parents=True)
        for scene in job.scenes:
            take_photo(scene, rng, folder / f"{order.group_id}_{shot}.jpeg")
            shot += rng.randint(1, 400)
    except OSError as error:
        raise _write_error(folder, output_dir, error) from error
    lines = {image_key(number): line for number, line in enumerate(job.lines(), 1)}
    return TruthRecord(mission=order.mission.name, label=order.label, group_id=order.group_id, per_image=lines)


def _folder(group_id: str) -> str:
    """The folder's name: the id, except that QC-DEN groups have their id in their photos' names only."""
    return f"补拍 {group_id[3:]}" if group_id.startswith("QC-DEN") else group_id


def take_photo(scene: Scene, rng: Random, path: Path) -> None:
    """Draws the scene and saves it as a JPEG. A share of TURNED is stored rotated, with the EXIF orientation."""
    photo = draw(scene, rng)
    exif = Image.Exif()
    if rng.random() < TURNED:
        orientation = rng.choice(tuple(TURNS))
        exif[Base.Orientation] = orientation
        photo = photo.transpose(_reverse(TURNS[orientation]))
    photo.save(path, "JPEG", quality=rng.randint(*QUALITY), exif=exif)


def _reverse(turn: Transpose) -> Transpose:
    """The inverse of a turn. Mirrorings and half turns are their own inverse."""
    return {Transpose.ROTATE_90: Transpose.ROTATE_270, Transpose.ROTATE_270: Transpose.ROTATE_90}.get(turn, turn)


def _prepare(output_dir: Path) -> None:
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        there = min((path.name for path in output_dir.iterdir()), default=None)
    except OSError as error:
        raise OutputError(f"{output_dir}: {error.strerror or error}. Give a writable folder.") from error
    if there is not None:
        raise UsageError(f"{output_dir}: not empty, it holds {excerpt(there)}. Give a new folder, or delete this one.")


def _write_error(folder: Path, output_dir: Path, error: OSError) -> OutputError:
    problem = f"{folder}: cannot be written: {error.strerror or error}"
    return OutputError(f"{problem}. Free disk space, delete {output_dir} and run again, or give another folder.")
