"""Guarantees of `yanshou.storage.lock`: one run at a time, whatever happens to the lock file."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import FORK, in_child

from yanshou.errors import LockedError, OutputError
from yanshou.storage.lock import Lock

BUSY = "another run is writing it. Wait until that ends, or choose another --output-dir."


def refusal(file: Path, folder: Path) -> str:
    """What another process is told that wants the lock; "" where it gets it."""

    def ask() -> str:
        try:
            with Lock(file, folder):
                return ""
        except (LockedError, OutputError) as error:
            return str(error)

    return in_child(ask)


def test_a_second_run_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    file, folder = tmp_path / "out" / ".lock", tmp_path / "out"
    with Lock(file, folder):
        with pytest.raises(LockedError) as error, Lock(file, folder):
            pass
        assert str(error.value) == refusal(file, folder) == f"{folder}: {BUSY}"
    with pytest.raises(ZeroDivisionError), Lock(file, folder):
        raise ZeroDivisionError
    with Lock(file, folder):
        pass


def test_an_error_under_the_lock_is_not_reported_as_one_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Lock(tmp_path / ".lock", tmp_path):
        (tmp_path / "none").read_bytes()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "out"
    with pytest.raises(OutputError, match=f"{folder}: cannot be written: Not a directory"), Lock(folder / "l", folder):
        pass


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / ".folder").mkdir()
    (tmp_path / ".link").symlink_to("elsewhere")
    for name, says in ((".folder", "Is a directory. A folder has the file's name."), (".link", "Too many levels")):
        message = refusal(tmp_path / name, tmp_path)
        assert message.startswith(f"{tmp_path}: cannot be locked: {tmp_path / name}: {says}")
        assert "Make room" not in message
    assert not (tmp_path / "elsewhere").exists()


# --- the lock file is deleted or replaced


@contextmanager
def other_run(file: Path, folder: Path) -> Iterator[None]:
    """A run in another process that takes the lock and keeps it."""
    ready, end = FORK.Event(), FORK.Event()

    def hold() -> None:
        with Lock(file, folder):
            ready.set()
            end.wait(20)

    process = FORK.Process(target=hold)
    process.start()
    assert ready.wait(20)
    yield
    end.set()
    process.join()


def test_a_run_whose_lock_file_is_deleted_takes_it_again(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    with Lock(file, tmp_path) as lock:
        lock.check()
        for _ in range(2):
            file.unlink()
            lock.check()
            assert refusal(file, tmp_path) == f"{tmp_path}: {BUSY}"
        file.unlink()
        file.touch()  # another file of that name, which nobody has locked
        lock.check()
        assert refusal(file, tmp_path) == f"{tmp_path}: {BUSY}"
    assert refusal(file, tmp_path) == ""


def test_a_run_whose_lock_was_deleted_and_taken_by_another_run_stops(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    with Lock(file, tmp_path) as lock:
        file.unlink()
        with other_run(file, tmp_path):
            for _ in range(2):
                with pytest.raises(LockedError, match=r"the lock file \.lock was deleted .* another run has taken"):
                    lock.check()
        lock.check()  # the other run has ended


def test_a_folder_that_was_deleted_is_not_made_again(tmp_path: Path) -> None:
    file = tmp_path / "out" / ".lock"
    with Lock(file, file.parent) as lock:
        file.unlink()
        file.parent.rmdir()
        with pytest.raises(OutputError, match="No such file or directory"):
            lock.check()
        assert not file.parent.exists()


# --- file systems without flock


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM, 524])
def without_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("without_flock")
def test_without_flock_a_file_names_the_holder(tmp_path: Path) -> None:
    file, holder = tmp_path / ".lock", tmp_path / ".lock.holder"
    with Lock(file, tmp_path) as lock:
        message = refusal(file, tmp_path)
        assert message.startswith(f"{tmp_path}: process {os.getpid()} on host {os.uname().nodename} is writing it")
        assert f"{holder}. If that process has ended, delete this file" in message
        holder.unlink()
        lock.check()
        assert refusal(file, tmp_path) == message
        lock.check()
    assert not holder.exists()
    assert refusal(file, tmp_path) == ""


@pytest.mark.usefixtures("without_flock")
def test_a_holder_that_was_killed_on_this_host_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".lock"

    def die() -> None:
        with Lock(file, tmp_path):
            os._exit(9)

    process = FORK.Process(target=die)
    process.start()
    process.join()
    assert (tmp_path / ".lock.holder").exists()
    assert refusal(file, tmp_path) == ""


@pytest.mark.usefixtures("without_flock")
def test_a_holder_on_another_host_is_named_and_left_alone(tmp_path: Path) -> None:
    holder = tmp_path / ".lock.holder"
    holder.write_text("4711\ngpu-3\n")
    assert refusal(tmp_path / ".lock", tmp_path).startswith(f"{tmp_path}: process 4711 on host gpu-3 is writing it")
    assert holder.read_text() == "4711\ngpu-3\n"


@pytest.mark.usefixtures("without_flock")
def test_where_neither_kind_of_lock_works_the_message_is_about_locks(tmp_path: Path) -> None:
    (tmp_path / ".lock.holder").mkdir()
    message = refusal(tmp_path / ".lock", tmp_path)
    assert message.startswith(f"{tmp_path}: cannot be locked: {tmp_path}/.lock.holder: ")
    assert "Make room" not in message
