"""`yanshou.inputs.photo_memory`: many threads with large photos stay within one bound, and nobody waits forever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import _imaging
from support.hostile import png_bomb
from support.photos import encoded, picture

from yanshou.errors import PhotoError
from yanshou.inputs import images, photo_memory
from yanshou.inputs.images import decoded_photo, load_photo
from yanshou.inputs.photo_memory import BYTES_PER_PIXEL, FILE_COPIES, DecodingMemory, available_bytes, decoding_bytes

GB = 10**9


class Watched:
    """Memory of 16 GB, and the most that was in work at a time."""

    def __init__(self, available=16 * GB):
        self.memory = DecodingMemory(lambda: available)
        self.now = self.most = self.done = 0
        self.lock = threading.Lock()

    def work(self, needed):
        with self.memory.reserve(needed):
            with self.lock:
                self.now += needed
                self.most = max(self.most, self.now)
            time.sleep(0.002)
            with self.lock:
                self.now -= needed
                self.done += 1


def test_photos_in_work_stay_within_half_of_the_available_memory():
    watched = Watched()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(watched.work, [3 * GB, GB // 50, GB] * 30))
    assert watched.done == 90
    assert 4 * GB <= watched.most <= 8 * GB


def test_photo_above_the_bound_is_decoded_alone_and_is_not_overtaken():
    watched = Watched()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(watched.work, [GB] * 10 + [12 * GB] + [GB] * 30))
    assert watched.done == 41
    assert watched.most == 12 * GB


def test_photo_that_never_fits_is_refused_and_the_others_go_on():
    watched = Watched(available=GB)
    with pytest.raises(PhotoError, match=r"takes 3\.2 GB of memory, and 1\.0 GB are free") as caught:
        watched.work(3_200_000_000)
    assert "Scale it down" in caught.value.advice
    watched.work(GB // 4)
    assert watched.done == 1


def test_memory_is_given_back_after_an_error():
    watched = Watched()
    for _ in range(3):
        with pytest.raises(RuntimeError), watched.memory.reserve(7 * GB):
            raise RuntimeError
    watched.work(7 * GB)
    assert watched.most == 7 * GB


def test_unknown_memory_is_no_bound():
    watched = Watched(available=None)
    watched.work(10**15)
    assert watched.done == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_need_follows_from_the_header_alone(kind):
    contents = encoded(picture(size=(300, 200)), kind)
    expected = FILE_COPIES * 5000 + BYTES_PER_PIXEL * 300 * 200
    assert decoding_bytes(contents, 5000) == decoding_bytes(contents[:700], 5000) == expected
    for head in (b"", contents[:10], b"text"):
        assert decoding_bytes(head, 5000) == FILE_COPIES * 5000
    with pytest.raises(PhotoError, match="megapixels"):
        decoding_bytes(png_bomb(), 100)


def test_photo_holds_its_memory_until_the_block_ends(tmp_path, monkeypatch):
    held = []
    memory = DecodingMemory(lambda: 16 * GB)
    monkeypatch.setattr(images, "DECODING", memory)
    path = tmp_path / "1.jpg"
    path.write_bytes(encoded(picture()))
    with decoded_photo(path) as photo:
        held.append(memory._used)
        assert photo.image.size == (48, 32)
    held.append(memory._used)
    load_photo(path)
    assert held == [decoding_bytes(path.read_bytes(), path.stat().st_size), 0]
    assert memory._used == 0
    path.write_bytes(b"text")
    with pytest.raises(PhotoError, match="text"):
        load_photo(path)
    assert memory._used == 0


def test_freed_pictures_go_back_to_the_machine():
    assert _imaging.get_block_size() == photo_memory.PICTURE_BLOCK > 32 * 2**20  # glibc's largest threshold


def test_large_photo_is_refused_where_it_does_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "DECODING", DecodingMemory(lambda: 10**6))
    path = tmp_path / "1.jpg"
    path.write_bytes(encoded(picture(size=(400, 300))))
    with pytest.raises(PhotoError, match=r"1\.jpg: decoding it takes") as caught:
        load_photo(path)
    assert caught.value.advice


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GB available, of which the test writes the control groups."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n")
    monkeypatch.setattr(photo_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(photo_memory, "OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(photo_memory, "GROUPS", tmp_path / "groups")
    return tmp_path


def group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_available_memory_is_that_of_the_machine_without_a_container(machine):
    assert available_bytes() == 8_192_000_000
    (machine / "meminfo").unlink()
    assert available_bytes() is None


def test_available_memory_is_what_the_tightest_group_leaves(machine):
    (machine / "cgroup").write_text("0::/pod/run\n")
    stat = "anon 5\ninactive_file 500000000\n"
    group(machine / "groups" / "pod" / "run", {"memory.max": "max\n", "memory.current": "1\n", "memory.stat": stat})
    assert available_bytes() == 8_192_000_000
    limits = {"memory.max": "4000000000\n", "memory.current": "1500000000\n", "memory.stat": stat}
    group(machine / "groups" / "pod", limits)
    assert available_bytes() == 3_000_000_000
    group(
        machine / "groups", limits | {"memory.current": "9000000000\n"}
    )  # inside a container, groups are mounted here
    assert available_bytes() == 0


def test_available_memory_of_the_first_version_of_control_groups(machine):
    (machine / "cgroup").write_text("5:cpu,cpuacct:/a\n4:memory:/docker/1\n1:name=systemd:/a\n0::/\n")
    files = {"memory.limit_in_bytes": "2000000000\n", "memory.usage_in_bytes": "500000000\n"}
    group(machine / "groups" / "memory", files | {"memory.stat": "cache 1\ntotal_inactive_file 0\n"})
    assert available_bytes() == 1_500_000_000
