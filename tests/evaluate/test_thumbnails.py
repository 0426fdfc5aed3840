"""The report's thumbnails: upright, without EXIF, made once, with a placeholder for photos that cannot be shown."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image
from support.parsed_page import report
from support.verdict_files import GOOD, photo, stage_a, verdict

from yanshou.evaluate import evaluate, write_report
from yanshou.missions import load_missions

MISSIONS = load_missions()
Judged = Callable[..., Path]


def with_photos(judged: Judged, *photos: Path | str, **more: Any) -> Path:
    texts = [GOOD] * len(photos)
    per_image = {f"图片_{number}": text for number, text in enumerate(texts, 1)}
    line = stage_a("QC-1", images=[str(p) for p in photos], per_image=per_image, raw_texts=texts, clean_texts=texts)
    return judged([verdict("QC-1")], [{**line, **more}])


@pytest.mark.parametrize(("orientation", "size"), [(1, (320, 213)), (6, (320, 480)), (3, (320, 213)), (8, (320, 480))])
def test_a_thumbnail_is_upright_and_has_only_pixels(
    judged: Judged, tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    original = photo(tmp_path / "photos" / "1.jpg", orientation)
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
    good, torn = photo(tmp_path / "photos" / "1.jpg"), photo(tmp_path / "photos" / "2.jpg")
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
    originals = [photo(tmp_path / "照 片" / "1.jpg").rename(tmp_path / "照 片" / name) for name in names]
    group = report([with_photos(judged, *originals)], tmp_path / "report").data["groups"][0]
    assert group["folder"].startswith("file:///")
    for original, shown in zip(originals, group["photos"], strict=True):
        url = urlsplit(group["folder"] + shown["file"])
        assert (url.scheme, url.netloc, url.query, url.fragment) == ("file", "", "", "")
        assert os.fsencode(unquote(url.path, errors="surrogateescape")) == os.fsencode(original)


def test_thumbnails_are_made_once_and_again_after_a_change(judged: Judged, tmp_path: Path) -> None:
    original = photo(tmp_path / "photos" / "1.jpg")
    file, output_dir = with_photos(judged, original), tmp_path / "report"

    def thumbnails() -> dict[str, int]:
        report([file], output_dir)
        return {path.name: path.stat().st_mtime_ns for path in (output_dir / "thumbnails").iterdir()}

    first = thumbnails()
    assert thumbnails() == first
    photo(original, size=(600, 900))
    changed = thumbnails()
    assert len(changed) == 1
    assert changed.keys() != first.keys()
    (output_dir / "thumbnails" / "mine.jpg").write_bytes(b"x")
    original.unlink()
    assert thumbnails().keys() == {"mine.jpg"}  # a deleted photo has no thumbnail


def test_progress_is_called_for_every_photo(judged: Judged, tmp_path: Path) -> None:
    file = with_photos(judged, photo(tmp_path / "1.jpg"), tmp_path / "gone.jpg")
    calls: list[tuple[int, int]] = []
    write_report(evaluate([file], None, MISSIONS), tmp_path, progress=lambda *counts: calls.append(counts))
    assert calls == [(1, 2), (2, 2)]
