"""Photos as the page gets them: upright, without anything of the file but its pixels, and only of groups at hand."""

import io
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.hostile import bad_photos, png_bomb
from support.photos import encoded, noise
from support.review_site import SECRET, Browser, Site, serve_site

from yanshou.review.store.refusals import RefusalError
from yanshou.review.web.causes import CAUSES
from yanshou.review.web.photo_route import AT_ONCE
from yanshou.review.web.photos import jpeg

UID = "0b0e7f6a-0000-4000-8000-000000000001"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path, groups=1) as running:
        yield running


def photos(browser: Browser) -> list[int]:
    (group,) = browser.next(1)
    return [photo["id"] for photo in group["photos"]]


def test_a_photo_is_upright_and_bare(site: Site) -> None:
    reader = site.reader("李")
    first, _ = photos(reader)
    for size in ("", "?size=view", "?size=full"):
        reply = reader.get(f"/photo/{first}{size}")
        assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
        assert reply.headers["cache-control"] == "no-store"
        for word in (SECRET.encode(), b"Exif", b"http", b"JFXX", b"Photoshop", b"\xff\xfe"):
            assert word not in reply.body
        picture = Image.open(io.BytesIO(reply.body)).convert("RGB")
        assert picture.size == (200, 300)  # turned: it is stored as 300 × 200
        assert picture.crop((0, 0, 200, 140)).getextrema()[0][0] > 200  # red above
        assert picture.crop((0, 160, 200, 300)).getextrema()[2][0] > 200  # blue below
        assert not Image.open(io.BytesIO(reply.body)).getexif()


def test_large_photos_are_scaled_down(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(encoded(noise(0, 5000, 200), "PNG"))
    assert Image.open(io.BytesIO(jpeg(file, "view"))).size == (1600, 64)
    assert Image.open(io.BytesIO(jpeg(file, "full"))).size == (4096, 164)


def test_a_photo_is_seen_by_those_who_have_its_group(site: Site) -> None:
    reader, other, lead = site.reader("李"), site.reader("王"), site.browser("/lead")
    first, _ = photos(reader)
    assert [one.get(f"/photo/{first}").status for one in (reader, other, lead)] == [200, 404, 200]
    both = Browser(site.port, f"{other.cookie}; {lead.cookie}")
    assert both.get(f"/photo/{first}").status == 200
    assert other.get(f"/photo/{first}").json() == other.get("/photo/1").json()  # no sign that it is there


def test_a_photo_stays_seen_after_the_answer(site: Site) -> None:
    reader = site.reader("李")
    (group,) = reader.next(1)
    reader.answer(group["id"], UID)
    assert reader.get(f"/photo/{group['photos'][0]['id']}").status == 200


def test_a_deleted_photo_is_named_in_the_terminal_alone(site: Site) -> None:
    reader = site.reader("李")
    first, second = photos(reader)
    site.photos[0].unlink()
    site.photos[1].write_bytes(b"")
    for _ in range(2):
        gone, empty = reader.get(f"/photo/{first}"), reader.get(f"/photo/{second}")
        assert (gone.status, gone.json()) == (404, {"error": "photo_missing", "message": CAUSES["photo_missing"].zh})
        assert (empty.status, empty.json()["error"]) == (422, "photo_unreadable")
    assert [str(site.photos[0]) in site.told[0], "there is no such file" in site.told[0]] == [True, True]
    assert "is empty" in site.told[1]
    assert len(site.told) == 2


@pytest.mark.parametrize("name", sorted(bad_photos()))
def test_a_bad_photo_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "图片_1.jpg"
    file.write_bytes(bad_photos()[name][0])
    with pytest.raises(RefusalError) as refusal:
        jpeg(file, "view")
    assert refusal.value.code == "photo_unreadable"


def test_names_that_no_file_can_have_are_refused() -> None:
    for name in ("a\0b", "\ud800"):
        with pytest.raises(RefusalError) as refusal:
            jpeg(Path(name), "view")
        assert refusal.value.code in ("photo_missing", "photo_unreadable")


def test_a_picture_of_gigabytes_is_refused_at_its_header(tmp_path: Path) -> None:
    file = tmp_path / "bomb.png"
    file.write_bytes(png_bomb())
    with pytest.raises(RefusalError, match="megapixels"):
        jpeg(file, "full")


def test_answers_do_not_wait_for_photos(site: Site) -> None:
    reader = site.reader("李")
    (group,) = reader.next(1)
    site.photos[0].write_bytes(encoded(noise(1, 1600, 1200), quality=95))
    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(Browser(site.port, reader.cookie).get, f"/photo/{group['photos'][0]['id']}?size=full")
            for _ in range(20)
        ]
        assert reader.answer(group["id"], UID).status == 200
        waiting = [one for one in asked if not one.done()]
        assert len(waiting) > 5
        assert all(one.result().status == 200 for one in asked)


def test_a_photo_that_nobody_waits_for_is_not_decoded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def slowly(path: Path, size: str) -> bytes:
        decoded.append(path)
        time.sleep(0.3)
        return b""

    monkeypatch.setattr("yanshou.review.web.photo_route.jpeg", slowly)
    reader = site.reader("李")
    first, _ = photos(reader)
    request = f"GET /photo/{first} HTTP/1.1\r\nHost: localhost\r\nCookie: {reader.cookie}\r\n\r\n".encode()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", site.port)) as connection:
            connection.sendall(request)
            time.sleep(0.005)
    assert reader.get(f"/photo/{first}").status == 200
    assert len(decoded) <= AT_ONCE + 1
