"""The report's thumbnails: upright, without EXIF, made once, with a placeholder for photos that cannot be shown."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image
from support.lines import GOOD, stage_a_line, verdict
from support.parsed_page import report
from support.photos import photo_file

from yanshou.errors import OutputError
from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report import write_report
from yanshou.report.evaluate_files import evaluate_files
from yanshou.settings import EvaluateSettings

MISSIONS = load_missions()
Judged = Callable[..., Path]


def with_photos(judged: Judged, *photos: Path | str, **more: Any) -> Path:
    line = stage_a_line("QC-1", "pass", *[GOOD] * len(photos), images=list(map(str, photos)), **more)
    return judged([verdict("QC-1")], [line])


def shown_files(output_dir: Path) -> dict[str, int]:
    """The files in the folder of thumbnails, but for its mark, and when they were written."""
    files = (output_dir / "thumbnails").iterdir()
    return {path.name: path.stat().st_mtime_ns for path in files if path.name != ".yanshou-thumbnails"}


@pytest.mark.parametrize(("orientation", "size"), [(1, (320, 213)), (6, (320, 480)), (3, (320, 213)), (8, (320, 480))])
def test_a_thumbnail_is_upright_and_has_only_pixels(
    judged: Judged, tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    original = photo_file(tmp_path / "photos" / "1.jpg", orientation)
    page = report([with_photos(judged, original)], tmp_path / "report")
    (shown,) = page.data["groups"][0]["photos"]
    file = tmp_path / "report" / "thumbnails" / shown["thumbnail"]
    data = file.read_bytes()
    assert not any(secret in data for secret in (b"Exif", b"SECRET", b"GPS", b"http", b"ICC"))
    with Image.open(io.BytesIO(data)) as thumbnail:
        assert (thumbnail.format, thumbnail.size, dict(thumbnail.getexif())) == ("JPEG", size, {})
        width, height = thumbnail.size
        red = {1: (5, 5), 6: (width // 2, 5), 3: (width - 5, 5), 8: (width // 2, height - 5)}[orientation]
        colour = thumbnail.getpixel(red)
    assert isinstance(colour, tuple)
    assert colour[0] > 200
    assert colour[2] < 60


def test_a_missing_or_damaged_photo_has_a_placeholder(judged: Judged, tmp_path: Path) -> None:
    good, torn = photo_file(tmp_path / "photos" / "1.jpg"), photo_file(tmp_path / "photos" / "2.jpg")
    torn.write_bytes(torn.read_bytes()[:500])
    os.mkfifo(tmp_path / "photos" / "3.jpg")
    names = [good, torn, tmp_path / "photos" / "3.jpg", tmp_path / "gone.jpg", "/a\0b.jpg", "/\ud800.jpg", "/x" * 5000]
    page = report([with_photos(judged, *names)], tmp_path / "report")
    photos = page.data["groups"][0]["photos"]
    assert [p["state"] for p in photos] == [
        "there",
        "unreadable",
        "unreadable",
        "missing",
        "missing",
        "missing",
        "missing",
    ]
    assert [bool(p["thumbnail"]) for p in photos] == [True] + [False] * 6


def test_the_large_view_opens_the_photo_by_a_percent_encoded_url(judged: Judged, tmp_path: Path) -> None:
    names = ["图片 1#?%.jpg", "b&\"'<.jpg", "\udcff.jpg"]
    originals = [photo_file(tmp_path / "照 片" / "1.jpg").rename(tmp_path / "照 片" / name) for name in names]
    group = report([with_photos(judged, *originals)], tmp_path / "report").data["groups"][0]
    assert group["folder"].startswith("file:///")
    for original, shown in zip(originals, group["photos"], strict=True):
        url = urlsplit(group["folder"] + shown["file"])
        assert (url.scheme, url.netloc, url.query, url.fragment) == ("file", "", "", "")
        assert os.fsencode(unquote(url.path, errors="surrogateescape")) == os.fsencode(original)


def test_thumbnails_are_made_once_and_again_after_a_change(judged: Judged, tmp_path: Path) -> None:
    original = photo_file(tmp_path / "photos" / "1.jpg")
    file, output_dir = with_photos(judged, original), tmp_path / "report"

    def thumbnails() -> dict[str, int]:
        report([file], output_dir)
        return shown_files(output_dir)

    first = thumbnails()
    assert thumbnails() == first
    photo_file(original, size=(600, 900))
    changed = thumbnails()
    assert len(changed) == 1
    assert changed.keys() != first.keys()
    (output_dir / "thumbnails" / "mine.jpg").write_bytes(b"x")
    original.unlink()
    assert thumbnails().keys() == {"mine.jpg"}  # a deleted photo has no thumbnail


def test_another_photo_of_the_same_size_and_time_gets_another_thumbnail(judged: Judged, tmp_path: Path) -> None:
    """As `cp -p` puts it there."""
    photo, output_dir = tmp_path / "1.png", tmp_path / "report"
    shown, found = [], []
    for colour in ("red", "blue"):
        Image.new("RGB", (60, 40), colour).save(photo, compress_level=0)
        os.utime(photo, (1_700_000_000, 1_700_000_000))
        found.append((photo.stat().st_size, photo.stat().st_mtime_ns))
        report([with_photos(judged, photo)], output_dir)
        (name,) = shown_files(output_dir)
        shown.append(Image.open(output_dir / "thumbnails" / name).getpixel((5, 5)))
    assert found[0] == found[1]
    assert [max(range(3), key=colour.__getitem__) for colour in shown] == [0, 2]


def test_progress_is_called_for_every_photo(judged: Judged, tmp_path: Path) -> None:
    file = with_photos(judged, photo_file(tmp_path / "1.jpg"), tmp_path / "gone.jpg")
    calls: list[tuple[int, int]] = []
    write_report(evaluate([file], None, MISSIONS), tmp_path, progress=lambda *counts: calls.append(counts))
    assert calls == [(1, 2), (2, 2)]


def test_a_folder_of_that_name_that_somebody_else_filled_is_refused_and_nothing_is_touched(
    judged: Judged, tmp_path: Path
) -> None:
    output_dir = tmp_path / "report"
    kept = photo_file(output_dir / "thumbnails" / f"{'0' * 32}.jpg")
    with pytest.raises(OutputError, match=r"thumbnails holds files that are not of this report: its \.yanshou-thumb"):
        report([with_photos(judged, photo_file(tmp_path / "1.jpg"))], output_dir)
    assert [path for path in output_dir.rglob("*") if path.is_file()] == [kept]


@pytest.mark.parametrize("inside", [[], ["holiday.jpg"], [".yanshou-thumbnails"]])
def test_a_link_of_that_name_is_refused_and_not_followed(judged: Judged, tmp_path: Path, inside: list[str]) -> None:
    album, output_dir = tmp_path / "album", tmp_path / "report"
    for folder in (album, output_dir):
        folder.mkdir()
    for name in inside:
        (album / name).touch()
    (output_dir / "thumbnails").symlink_to(album)
    with pytest.raises(OutputError, match="thumbnails is a link, and thumbnails are only written into a folder"):
        report([with_photos(judged, photo_file(tmp_path / "1.jpg"))], output_dir)
    assert [path.name for path in album.iterdir()] == inside
    assert [path.name for path in output_dir.iterdir()] == ["thumbnails"]


def test_an_empty_folder_of_that_name_is_used(judged: Judged, tmp_path: Path) -> None:
    (tmp_path / "report" / "thumbnails").mkdir(parents=True)
    file = with_photos(judged, photo_file(tmp_path / "1.jpg"))
    for _ in range(2):
        report([file], tmp_path / "report")
    assert len(shown_files(tmp_path / "report")) == 1


def test_a_link_in_the_place_of_a_thumbnail_is_replaced_and_not_followed(judged: Judged, tmp_path: Path) -> None:
    file, output_dir = with_photos(judged, photo_file(tmp_path / "1.jpg")), tmp_path / "report"
    report([file], output_dir)
    (thumbnail,) = shown_files(output_dir)
    made = (output_dir / "thumbnails" / thumbnail).read_bytes()
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    for name in (thumbnail, f".{thumbnail}.tmp", f"{'a' * 32}.jpg"):
        (output_dir / "thumbnails" / name).unlink(missing_ok=True)
        (output_dir / "thumbnails" / name).symlink_to(victim)
    report([file], output_dir)
    assert shown_files(output_dir) == {thumbnail: (output_dir / "thumbnails" / thumbnail).stat().st_mtime_ns}
    assert ((output_dir / "thumbnails" / thumbnail).read_bytes(), victim.read_bytes()) == (made, b"mine")


def test_links_in_the_place_of_the_files_are_replaced_and_not_followed(judged: Judged, tmp_path: Path) -> None:
    verdicts, victim = judged([verdict("QC-1")]), tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    for name in ("report.html", "groups.csv", ".report.html.new", ".groups.csv.new"):
        (tmp_path / "out" / name).symlink_to(victim)
    evaluate_files(EvaluateSettings(verdicts=(verdicts,), output_dir=tmp_path / "out"))
    assert victim.read_bytes() == b"mine"
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())
