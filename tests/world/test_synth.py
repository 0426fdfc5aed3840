"""A drawn set has the input layout, the truth about its groups, and the same bytes for the same seed."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from yanshou.errors import InputError, OutputError, UsageError
from yanshou.inputs.discovery import discover
from yanshou.inputs.images import load_photo
from yanshou.inputs.orientation import TURNS
from yanshou.missions import Missions, load_missions
from yanshou.missions.rules import decide
from yanshou.schema.records import GroupKey, TruthRecord
from yanshou.schema.summary import parse
from yanshou.storage.jsonl import read_records
from yanshou.world.draw import SIZES, draw
from yanshou.world.scene import Fastener, Scene, Tag
from yanshou.world.synth import PER_PROCESS, draw_group, orders, synthesize, take_photo

MISSIONS = load_missions()
GROUPS = 20


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 groups of the four missions, drawn by two processes."""
    folder = tmp_path_factory.mktemp("drawn") / "new"
    synthesize(folder, GROUPS, 3, list(MISSIONS), workers=2)
    return folder


@pytest.fixture(scope="module")
def truth(drawn: Path) -> list[TruthRecord]:
    return [record for _, record in read_records(drawn / "truth.jsonl", TruthRecord)]


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_truth_names_the_groups_and_photos_of_the_folders(drawn: Path, truth: list[TruthRecord]) -> None:
    found = [discover(drawn, mission.name, mission.aliases) for mission in MISSIONS]
    photos = {group.key: len(group.photos()) for discovery in found for group in discovery.groups}

    assert photos == {record.key: len(record.per_image) for record in truth}
    assert [(discovery.faults, discovery.warnings()) for discovery in found] == [([], [])] * 4


def test_groups_are_spread_evenly_and_two_of_five_fail(truth: list[TruthRecord]) -> None:
    assert Counter((record.mission, record.label) for record in truth) == {
        (mission.name, label): count for mission in MISSIONS for label, count in (("pass", 3), ("fail", 2))
    }


def test_labels_follow_from_the_truth(truth: list[TruthRecord]) -> None:
    for record in truth:
        rule = MISSIONS.get(record.mission).rule
        assert decide(rule, map(parse, record.per_image.values())).passed == (record.label == "pass")


def test_photos_load_upright_in_every_size(drawn: Path) -> None:
    sizes = Counter(load_photo(path).image.size for path in drawn.rglob("*.jpeg"))

    assert set(sizes) == set(SIZES)


def test_some_photos_are_stored_rotated(drawn: Path) -> None:
    turned = [load_photo(path).rotated for path in drawn.rglob("*.jpeg")]

    assert 0.02 < sum(turned) / len(turned) < 0.2


def test_one_process_draws_the_same_bytes_as_two(drawn: Path, tmp_path: Path) -> None:
    assert GROUPS > PER_PROCESS  # otherwise the fixture's set is drawn by one process too
    synthesize(tmp_path, GROUPS, 3, list(MISSIONS), workers=1)

    assert _digests(tmp_path) == _digests(drawn)


def test_another_seed_draws_other_groups(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path, 4, 4, list(MISSIONS))

    assert not set(_digests(tmp_path).items()) & set(_digests(drawn).items())


def test_a_group_drawn_alone_equals_the_group_of_the_set(drawn: Path, truth: list[TruthRecord], tmp_path: Path) -> None:
    record = draw_group(tmp_path, orders(1000, 3, list(MISSIONS))[17])

    assert record == truth[17]
    assert _digests(tmp_path).items() <= _digests(drawn).items()


def test_progress_is_reported_per_group(tmp_path: Path) -> None:
    reported: list[TruthRecord] = []
    path = synthesize(tmp_path, 2, 5, [MISSIONS.get("挡风板安装检查")], progress=reported.append)

    assert reported == [record for _, record in read_records(path, TruthRecord)]
    assert path == tmp_path / "truth.jsonl"


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_rotated_photo_loads_upright(orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yanshou.world.synth.TURNED", 1.0)
    monkeypatch.setattr("yanshou.world.synth.TURNS", {orientation: TURNS[orientation]})
    scene = Scene((Fastener("BBU安装螺丝"), Tag("GND")))

    take_photo(scene, Random(6), tmp_path / "turned.jpeg")

    upright = draw(scene, Random(6))
    with Image.open(tmp_path / "turned.jpeg") as stored:
        assert stored.getexif()[Base.Orientation] == orientation
        restored = ImageOps.exif_transpose(stored)
        assert _difference(stored, upright) > 3 * _difference(restored, upright)
    assert _difference(restored, upright) < 6  # out of 255, for JPEG compression
    assert load_photo(tmp_path / "turned.jpeg").image.tobytes() == restored.tobytes()


def _difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the pixels, with the first photo stretched to the size of the second."""
    return float(np.abs(np.asarray(one.resize(other.size), float) - np.asarray(other, float)).mean())


def test_ids_have_the_real_format_and_a_resubmission_follows_its_failure() -> None:
    wanted = orders(4000, 8, list(MISSIONS))
    kinds = Counter(order.group_id.rsplit("-", 2)[0] for order in wanted)
    numbers: dict[GroupKey, int] = {
        GroupKey(order.mission.name, order.label, order.group_id): order.number for order in wanted
    }
    twice = [group_id for group_id, count in Counter(order.group_id for order in wanted).items() if count == 2]

    assert len(numbers) == 4000
    assert len(twice) == 4000 - len({order.group_id for order in wanted})  # no id occurs three times
    assert 0.62 < kinds["QC"] / 4000 < 0.68
    assert 0.29 < kinds["QC-TEMP"] / 4000 < 0.35
    assert 0.02 < kinds["QC-DEN"] / 4000 < 0.04
    assert 0.02 < len(twice) / sum(order.label == "pass" for order in wanted) < 0.04
    for again in twice:
        first, second = sorted((number, key) for key, number in numbers.items() if key.group_id == again)
        assert (first[1].label, second[1].label) == ("fail", "pass")
        assert first[1].mission == second[1].mission


def test_a_resubmitted_group_is_found_under_both_labels(tmp_path: Path) -> None:
    wanted = orders(400, 8, list(MISSIONS))
    again, _ = Counter(order.group_id for order in wanted).most_common(1)[0]
    records = [draw_group(tmp_path, order) for order in wanted if order.group_id == again]

    found = discover(tmp_path, records[0].mission)
    assert {group.key for group in found.groups} == {record.key for record in records}
    assert {record.label for record in records} == {"pass", "fail"}
    assert not found.faults


def test_ids_of_den_groups_are_read_from_the_photos_names(tmp_path: Path) -> None:
    wanted = next(order for order in orders(400, 8, list(MISSIONS)) if order.group_id.startswith("QC-DEN"))
    draw_group(tmp_path, wanted)

    (group,) = discover(tmp_path, wanted.mission.name).groups
    assert group.key.group_id == wanted.group_id != group.name


def test_a_folder_that_is_not_empty_is_refused_and_stays_untouched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")

    with pytest.raises(UsageError, match=r"not empty, it holds 'mine\.txt'"):
        synthesize(tmp_path, 1, 0, list(MISSIONS))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_output_folder_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="file"):
        synthesize(tmp_path / "file", 1, 0, list(MISSIONS))


def test_a_full_disk_is_an_output_error_and_leaves_no_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match=r"No space left on device\. Free disk space"):
        synthesize(tmp_path, 1, 0, list(MISSIONS))
    assert not (tmp_path / "truth.jsonl").exists()


def test_zero_groups_or_zero_missions_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 groups of 4 missions"):
        synthesize(tmp_path / "a", 0, 0, list(MISSIONS))
    with pytest.raises(UsageError, match="3 groups of 0 missions"):
        synthesize(tmp_path / "b", 3, 0, [])
    assert list(tmp_path.iterdir()) == []


DRAW = """
import sys
from pathlib import Path
from yanshou.missions import load_missions
from yanshou.world.synth import synthesize
if __name__ == "__main__":
    synthesize(Path(sys.argv[1]), 4000, 0, list(load_missions()), workers=2)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_drawing_processes_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    script, out = tmp_path / "draw.py", tmp_path / "out"
    script.write_text(DRAW)
    process = subprocess.Popen([sys.executable, script, out], stderr=subprocess.PIPE)
    drawing: list[int] = []
    try:
        _wait_until(lambda: any(out.glob("*/*/*/*.jpeg")))
        drawing += [pid for pid in _children(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(drawing) == 2
        process.send_signal(number)
        assert process.wait() == -number
        _wait_until(lambda: not any(map(_runs, drawing)))
    finally:
        process.kill()
        process.wait()
        for pid in filter(_runs, drawing):
            os.kill(pid, signal.SIGKILL)
    assert not (out / "truth.jsonl").exists()
    assert process.stderr
    with process.stderr:
        assert process.stderr.read() == b""  # of all processes, multiprocessing's own included


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    """Whether the process has not ended. A zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_error_in_a_drawing_process_is_raised_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('name = "自定"\nfocus = "看。"\n[rule]\ntext = "看。"\nrequire = [["光纤/已断"]]', encoding="utf-8")
    missions: Missions = load_missions([file])

    with pytest.raises(InputError, match="nothing that matches 光纤/已断"):
        synthesize(tmp_path / "out", 2 * PER_PROCESS, 0, [missions.get("自定")], workers=2)
