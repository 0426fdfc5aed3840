"""Whether a file is on a network drive, by lists of mounts as the kernel writes them."""

from pathlib import Path

import pytest

from yanshou.review.store.network_mounts import network_drive

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /mnt/nas rw,relatime shared:5 - nfs4 nas:/export rw,vers=4.2
31 22 0:41 / /mnt/nas/local rw - xfs /dev/sdb1 rw
32 22 0:42 / /mnt/with\\040space rw - cifs //server/share rw
33 22 0:43 / /mnt/ssh rw - fuse.sshfs host:/home rw
34 22 0:44 / /mnt/usb rw - fuseblk /dev/sdc1 rw
35 22 0:45 / /mnt/pool rw - fuse.mergerfs a:b rw
36 22 0:46 / /mnt/covered rw - nfs nas:/old rw
37 22 0:47 / /mnt/covered rw - tmpfs tmpfs rw
38 22 0:48 / /mnt/unknown rw master:1 propagate_from:2 - fuse.newthing x rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/review.sqlite", None),
        ("/mnt/nas/review.sqlite", "nfs4"),
        ("/mnt/nas/a/b/review.sqlite", "nfs4"),
        ("/mnt/nas2/review.sqlite", None),
        ("/mnt/nas/local/review.sqlite", None),
        ("/mnt/with space/review.sqlite", "cifs"),
        ("/mnt/ssh/review.sqlite", "fuse.sshfs"),
        ("/mnt/usb/review.sqlite", None),
        ("/mnt/pool/review.sqlite", None),
        ("/mnt/covered/review.sqlite", None),
        ("/mnt/unknown/review.sqlite", "fuse.newthing"),
    ],
)
def test_kind_of_the_deepest_mount(mounts: Path, path: str, kind: str | None) -> None:
    assert network_drive(Path(path), mounts) == kind


def test_link_is_followed(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/nas")
    assert network_drive(tmp_path / "link" / "review.sqlite", mounts) == "nfs4"


def test_nothing_is_known_without_the_kernels_list(tmp_path: Path) -> None:
    assert network_drive(Path("/mnt/nas/review.sqlite"), tmp_path / "missing") is None


def test_this_machine() -> None:
    assert network_drive(Path("/proc/self/review.sqlite")) is None
