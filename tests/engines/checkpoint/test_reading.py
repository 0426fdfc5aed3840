"""Files of a checkpoint that cannot be read: one line with the file and the cure for this cause."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkpoint_folders import folder

from yanshou.engines.checkpoint import faults, fingerprint
from yanshou.engines.checkpoint.reading import check_syntax, read_json, read_start, reading
from yanshou.errors import CheckpointError

BY_PERMISSIONS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # as a user who is not root
SCRIPT = """
import sys
from pathlib import Path
from yanshou.engines.checkpoint import faults, find, fingerprint
from yanshou.errors import CheckpointError
folder = Path(sys.argv[1])
for step in (lambda: print(*faults(folder), sep="\\n"), lambda: fingerprint(folder), lambda: find(str(folder))):
    try: step()
    except CheckpointError as error: print(error)
"""


def as_another_user(path: Path) -> list[str]:
    """What the functions say to somebody who owns nothing there: the files belong to another user."""
    prefix: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything, and setpriv is not installed")
        prefix = BY_PERMISSIONS
        for one in (path.parent, path, *path.iterdir()):
            os.chown(one, 4242, 4242)
    elif path.is_dir():
        pytest.skip("only root can give files to another user")
    command = [*prefix, sys.executable, "-c", SCRIPT, str(path)]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", ["model.safetensors", "chat_template.jinja"])
def test_a_file_that_only_its_owner_may_read_is_named_with_the_command_that_helps(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "my models" / "4B")
    (made / name).chmod(0o600)
    found = as_another_user(made)
    line = f"{made / name}: this user may not read it (-rw-------). Make it readable: chmod a+r '{made / name}'"
    assert found == [line, line]


def test_a_folder_that_may_not_be_listed_or_entered_is_named(tmp_path: Path) -> None:
    made = folder(tmp_path / "models" / "4B")
    made.chmod(0o700)
    line = f"{made}: this user may not read it (drwx------). Make it readable: chmod a+rx {made}"
    assert set(as_another_user(made)) == {line}
    made.parent.chmod(0o600)
    words = f"{made}: this user may not enter {made.parent} or a folder above it. Make them accessible: chmod a+x"
    assert set(as_another_user(made)) == {words}


def test_a_disk_that_fails_is_named(tmp_path: Path) -> None:
    made = folder(tmp_path / "made", "model.safetensors")
    (made / "model.safetensors").symlink_to("/proc/self/mem")  # its first byte cannot be read: EIO
    line = (
        f"{made / 'model.safetensors'}: the disk or the network file system cannot read it (EIO). Copy the checkpoint "
        "to another disk."
    )
    assert list(faults(made)) == [line]
    with pytest.raises(CheckpointError) as caught:
        fingerprint(made)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ESTALE, "the network file system has lost it (ESTALE). Run the same command again."),
        (errno.ENOMEM, f"it cannot be read ({os.strerror(errno.ENOMEM)}). Copy the checkpoint again."),
    ],
)
def test_other_errors_of_the_file_system_are_named(tmp_path: Path, code: int, words: str) -> None:
    with pytest.raises(CheckpointError) as caught, reading(tmp_path):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == f"{tmp_path}: {words}"


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    for read in (read_start, read_json):
        with pytest.raises(CheckpointError) as caught:
            read(tmp_path / "gone")
        assert str(caught.value) == f"{tmp_path / 'gone'}: there is no such file. Copy the checkpoint again."


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer.json", b'{"model": {', "cannot be read as JSON"),
        ("generation_config.json", b'\xef\xbb\xbf{"eos_token_id": 1}', "cannot be read as JSON"),
        ("tokenizer_config.json", '{"名": "挡风板"}'.encode("gbk"), "cannot be read as JSON"),
        ("chat_template.jinja", "挡风板".encode("gbk"), "not UTF-8"),
        ("special_tokens_map.json", b"[" * 5000, "cannot be read as JSON"),
    ],
)
def test_a_damaged_text_file_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint) as raised:
        check_syntax(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert str(raised.value).endswith("Copy the checkpoint again.")


def test_a_large_file_is_read_whole_only_where_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(b"{" * 2000)
    check_syntax(file, largest=1999)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: cannot be read as JSON"):
        check_syntax(file, largest=2000)


def test_text_of_no_known_kind_is_left_to_loading(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_bytes(b"\xff")
    check_syntax(tmp_path / "merges.txt")
