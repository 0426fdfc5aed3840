"""report.zip: which groups and photos are in it, nothing of this machine, and the same bytes each time."""

import io
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from PIL import Image
from support.judged_files import amend, write_judged
from support.lines import fault, stage_a_line, verdict
from support.parsed_page import Page
from support.photos import photo_file

from yanshou.report import page as page_module
from yanshou.report import portable
from yanshou.report.evaluate_files import evaluate_files
from yanshou.settings import EvaluateSettings

SEGMENTS = {0xC0, 0xC4, 0xDB, 0xE0}  # frame, tables and JFIF's own header: no EXIF, comment or profile

SECRETS = ("现场", "照 片", "%E7%85%A7", "/photos/BBU", "file:/", "/root", "/var", "/tmp", "/home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Outcomes of all kinds; the false release has a rotated, a small, a damaged and a missing photo."""
    folder = tmp_path / "现场 data"
    photos = [folder / "照 片#1" / f"QC-1_{number}.jpg" for number in range(1, 5)]
    photo_file(photos[0], orientation=6, size=(3000, 2000))
    photo_file(photos[1], size=(300, 200))
    photo_file(photos[2]).write_bytes(b"\xff\xd8 torn")
    verdicts = [
        verdict("QC-1", "fail", "pass", 0.9), verdict("QC-2", "pass", "fail", 0.4),
        verdict("QC-3", "pass", "pass", 0.8), verdict("QC-4", "fail", "fail", 0.1), verdict("QC-5", None, "pass", 0.7),
    ]  # fmt: skip
    lines = [stage_a_line(one["group_id"], one["label"]) for one in verdicts[1:]]
    first = stage_a_line("QC-1", "fail", *["电线/捆扎整齐×1"] * 4, images=list(map(str, photos)))
    message = f"{photos[0].parent}/x.jpg: ends early; see /opt/notes/log.txt and /var/lib/yanshou/state.db"
    file = write_judged(folder, verdicts, [first, *lines, stage_a_line("QC-6")], [fault("QC-6", message=message)])
    amend(
        file,
        checkpoint="4f0c" * 16,
        dtype="bfloat16",
        input_dir=str(folder / "groups"),
        prompts={"rule": "通过/不通过/需复核"},
    )
    return folder


def written(folder: Path, **options: Any) -> Path:
    """Evaluates the folder's verdicts; returns the archive."""
    out = folder / "out"
    verdicts = tuple(sorted(folder.glob("*_verdicts.jsonl")))
    evaluate_files(EvaluateSettings(verdicts=verdicts, output_dir=out, portable=True, **options))
    return out / portable.NAME


def opened(archive: Path) -> Page:
    return Page(ZipFile(archive).read("report/report.html").decode("utf-8"))


def test_it_holds_the_groups_to_look_at_and_says_what_is_left_out(folder: Path) -> None:
    page = opened(written(folder, lang="en"))
    assert [group["id"] for group in page.data["groups"]] == ["QC-1", "QC-6", "QC-2"]
    assert page.data["evaluated"] == 6
    text = " ".join(page.texts)
    assert "holds 3 of the 6 evaluated groups: false release 1, no verdict 1, false block 1." in text
    assert "leaves out 3 groups: no human label 1, correct release 1, correct block 1." in text
    assert "Photos: 2, with a longer edge of at most 1,600 pixels." in text
    assert "Missing or unreadable, and so not here: 4 photos." in text
    assert "thumbnails" not in text


def test_all_groups_are_in_it_on_request(folder: Path) -> None:
    page = opened(written(folder, groups="all", lang="en"))
    assert len(page.data["groups"]) == page.data["evaluated"] == 6
    assert page.texts["No group is left out."] == 1


def test_at_most_five_hundred_groups_the_worst_of_them(tmp_path: Path) -> None:
    verdicts = [verdict(f"QC-{n}", "fail", "pass", n / 600) for n in range(501)] + [
        verdict("QC-B", "pass", "fail", 0.1)
    ]
    write_judged(tmp_path, verdicts)
    page = opened(written(tmp_path, lang="en"))
    ids = [group["id"] for group in page.data["groups"]]
    assert ids == [f"QC-{n}" for n in range(500, 0, -1)]
    assert any("leaves out 2 groups: false release 1, false block 1." in text for text in page.texts)
    assert len(opened(written(tmp_path, groups="all")).data["groups"]) == 502


def test_of_new_jobs_all_groups_are_looked_at(tmp_path: Path) -> None:
    write_judged(tmp_path, [verdict("QC-1", None, p=0.9), verdict("QC-2", None, p=0.6)])
    assert [group["id"] for group in opened(written(tmp_path)).data["groups"]] == ["QC-2", "QC-1"]


def markers(jpeg: bytes) -> set[int]:
    """The kinds of segments before the picture's data."""
    kinds, at = set(), 2
    while (kind := jpeg[at + 1]) != 0xDA:
        kinds.add(kind)
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return kinds


def test_photos_are_reduced_upright_and_nothing_but_pixels(folder: Path) -> None:
    archive = ZipFile(written(folder))
    photos = [name for name in archive.namelist() if "/photos/" in name]
    assert photos == ["report/photos/000001.jpg", "report/photos/000002.jpg"]
    images = [Image.open(io.BytesIO(archive.read(name))) for name in photos]
    assert [image.size for image in images] == [(1067, 1600), (300, 200)]  # turned by 90°; not enlarged
    red, _, blue = images[0].getpixel((500, 100))
    assert red > 200 > blue
    for name in photos:
        data = archive.read(name)
        assert markers(data) <= SEGMENTS
        assert b"SECRET" not in data


def test_nothing_in_it_names_a_folder_of_this_machine(folder: Path) -> None:
    for options in ({}, {"groups": "all"}):
        archive = ZipFile(written(folder, **options))
        names = archive.namelist()
        assert all(re.fullmatch(r"report/(report\.html|photos/\d{6}\.jpg)", name) for name in names)
        html = archive.read("report/report.html").decode("utf-8")
        html = html.replace("img-src 'self' data: file:", "")  # the page's policy
        assert [secret for secret in SECRETS if secret in html] == []
        page = opened(folder / "out" / portable.NAME)
        failed = next(group for group in page.data["groups"] if group["id"] == "QC-6")
        assert failed["fault"] == "generate: …/x.jpg: ends early; see …/log.txt and …/state.db"
        assert "通过/不通过/需复核" in page.inside["pre"]  # a prompt's slashes are no paths
        (shown,) = (group for group in page.data["groups"] if group["id"] == "QC-1")
        assert [shown["folder"], *(photo["file"] for photo in shown["photos"])] == [
            "photos/", "000001.jpg", "000002.jpg", None, None,
        ]  # fmt: skip
        assert [photo["name"] for photo in shown["photos"]] == [f"QC-1_{n}.jpg" for n in range(1, 5)]


def test_the_same_evaluation_gives_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "now", lambda: "2026-01-18T09:30:00+08:00")
    first = written(folder).read_bytes()
    assert written(folder).read_bytes() == first
    assert {entry.date_time for entry in ZipFile(io.BytesIO(first)).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_archive_that_cannot_be_finished_leaves_the_old_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = written(folder)
    before = {path: path.read_bytes() for path in archive.parent.glob("re*")}

    def stopped(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(portable, "_scaled", stopped)
    with pytest.raises(KeyboardInterrupt):
        written(folder)
    assert {path: path.read_bytes() for path in archive.parent.glob("re*")} == before


def test_an_archive_of_an_earlier_evaluation_is_named(folder: Path) -> None:
    archive = written(folder)
    verdicts = tuple(folder.glob("*_verdicts.jsonl"))
    result = evaluate_files(EvaluateSettings(verdicts=verdicts, output_dir=archive.parent))
    assert any(str(archive) in warning and "earlier evaluation" in warning for warning in result.warnings)


def test_progress_counts_the_photos_of_both(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    verdicts = tuple(folder.glob("*_verdicts.jsonl"))
    settings = EvaluateSettings(verdicts=verdicts, output_dir=folder / "out", portable=True)
    evaluate_files(settings, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 15) for done in range(1, 16)]  # 6 photos of 3 groups, then 9 thumbnails


def test_groups_without_portable_are_refused() -> None:
    with pytest.raises(ValueError, match="Give `portable` with it"):
        EvaluateSettings(verdicts=(Path("x"),), output_dir=Path("o"), groups="all")


def test_memory_does_not_grow_with_the_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most UNDER_WAY photos are scaled ahead of the one that is written."""
    started: list[str] = []
    monkeypatch.setattr(portable, "_scaled", lambda photo: started.append(photo) or b"")
    photos = portable._scaled_photos(map(str, range(1000)))
    for number in range(1, 20):
        next(photos)
        assert len(started) <= number + portable.UNDER_WAY
    photos.close()
