"""What goes wrong beside the server: one clear sentence each, nothing lost, and service resumes when it is over."""

import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.cli_runs import run
from support.mounts import in_own_mounts, read_only, small_disk
from support.processes import in_child
from support.review_checks import faults, rows
from support.review_client import Habits, Journal, RefusedError, ReviewClient
from support.review_files import ReviewFiles, write_review_files
from support.review_server import ReviewServer, served
from support.review_store import make_store

from yanshou.review.store import database
from yanshou.review.store.store import Store

STEADY = Habits(undo=0, renew=0, leave=0, change=0)
DAY_S = 86_400.0
HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@dataclass
class World:
    """A store with its files, a server's terminal, and the journal of its clients."""

    files: ReviewFiles
    store: Path
    key: str
    journal: Journal = field(default_factory=Journal)
    terminal: list[str] = field(default_factory=list)
    clients: list[ReviewClient] = field(default_factory=list)

    @contextmanager
    def served(self) -> Iterator[int]:
        with Store.open(self.store) as store, served(store, tell=self.terminal.append) as page:
            yield page.port

    def client(self, port: int, reader: str = "李") -> ReviewClient:
        client = ReviewClient(port, self.key, [reader], self.journal, Random(reader), STEADY)
        self.clients.append(client)
        client.sign_in()
        client.fill()
        return client

    def check(self) -> None:
        """Nothing is lost, nothing is there that no client was told of."""
        assert faults(self.store, self.journal, self.journal.confirmed(), at_rest=True) == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    files = write_review_files(tmp_path, 12)
    made = World(files, tmp_path / "review.sqlite", make_store(tmp_path / "review.sqlite", files))
    yield made
    for client in made.clients:
        client.connection.close()


def refusal(client: ReviewClient, body: dict[str, Any], path: str = "/api/answer") -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        client.connection.send("POST", path, body).json()
    assert "\n" not in refused.value.message
    return refused.value


def an_answer(client: ReviewClient, uid: str = "0b7c0b7c-0000-4000-8000-000000000001") -> dict[str, Any]:
    return {"uid": uid, "group": client.held[0]["id"], "label": "pass", "reason": "", "seconds": 1.0}


# ---- other programs ----


@contextmanager
def locked_by_another_program(store: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


def test_store_that_another_program_writes_is_busy_until_that_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_S", 0.1)
    with world.served() as port:
        client = world.client(port)
        body = an_answer(client)
        with locked_by_another_program(world.store):
            assert refusal(client, body).code == "busy"
            assert client.connection.send("GET", "/api/queues").status == 200  # reading needs no lock
        assert client.connection.send("POST", "/api/answer", body).status == 200
        client.held.pop(0)
        assert client.step()
    assert [line.startswith(f"{world.store}: another program is writing the store. ") for line in world.terminal] == [
        True
    ]
    assert len(rows(world.store, "SELECT * FROM answers")) == 2


def test_second_review_of_a_store_is_refused_in_one_line(world: World) -> None:
    with world.served() as port:
        ran = run("review", "--store", str(world.store), "--port", "0")
        assert ran.exit_code == 1
        (line,) = ran.stderr.splitlines()
        assert line.startswith(f"error: {world.store}: another `yanshou review` ")
        assert world.client(port).step()
    world.check()


def test_store_that_is_deleted_under_the_server_takes_no_answer(world: World, tmp_path: Path) -> None:
    with world.served() as port:
        client = world.client(port)
        assert client.step()
        names = [path.name for path in tmp_path.glob("review.sqlite*")]
        for name in names:
            (tmp_path / name).rename(tmp_path / f"{name}.away")
        assert refusal(client, an_answer(client)).code == "store_failed"
        assert "was deleted, moved or replaced" in world.terminal[0]
        for name in names:
            (tmp_path / f"{name}.away").rename(tmp_path / name)
        assert client.step()
    world.check()


# ---- photos ----


def test_deleted_photo_is_said_and_its_group_can_be_answered(world: World, tmp_path: Path) -> None:
    with world.served() as port:
        client = world.client(port)
        photo = client.held[0]["photos"][1]["id"]
        (path,) = rows(world.store, "SELECT path FROM photos WHERE id = ?", photo)
        file = Path(path["path"].decode())
        file.rename(tmp_path / "away.jpeg")
        for _ in range(2):
            with pytest.raises(RefusedError) as refused:
                client.connection.send("GET", f"/photo/{photo}?size=view").json()
            assert (refused.value.status, refused.value.code) == (404, "photo_missing")
            assert file.name not in refused.value.message
        assert [str(file) in line for line in world.terminal] == [True]  # once
        (tmp_path / "away.jpeg").rename(file)
        assert client.connection.send("GET", f"/photo/{photo}?size=view").status == 200
        assert client.step()
    world.check()


# ---- the clock ----


def test_wall_clock_that_jumps_changes_no_lease_and_no_order(world: World, tmp_path: Path) -> None:
    with ReviewServer(world.store, tmp_path, wall_clock=True) as server:
        server.start()
        first, second = world.client(server.port), world.client(server.port, "王")
        for days in (1, -1):
            held = [group["id"] for group in first.held]
            server.clock.move(days * DAY_S)  # while it serves
            assert second.step()
            server.kill()
            server.clock.move(days * DAY_S)  # while it is down
            server.start()
            assert second.step()
            first.renew()
            assert [group["id"] for group in first.held] == held
            assert first.step()
            first.fill()
        told = first.call("GET", "/api/history")["answers"]
    mine = [sent.uid for sent in world.journal.confirmed() if sent.reader == "李"]
    assert [answer["uid"] for answer in told] == mine[::-1]
    assert not world.journal.violations
    world.check()


# ---- files that cannot be opened ----


def refused_start(store: Path, *more: str) -> str:
    """The one line of a start that fails."""
    ran = run("review", "--store", str(store), "--port", "0", *more)
    assert ran.exit_code == 1, ran.output
    (line,) = ran.stderr.splitlines()
    return line.removeprefix(f"error: {store}: ")


def test_store_of_a_newer_version(world: World) -> None:
    with closing(sqlite3.connect(world.store)) as db:
        db.execute("PRAGMA user_version=2")
    before = world.store.read_bytes()
    assert refused_start(world.store).startswith("a newer yanshou made this store (version 2; this one knows 1).")
    assert world.store.read_bytes() == before


def test_damaged_store_is_refused_and_left_as_it_is(world: World) -> None:
    whole = world.store.read_bytes()
    for start in (4096, len(whole) // 2, len(whole) - 4096):
        world.store.write_bytes(whole[:start] + bytes(range(256)) * 16 + whole[start + 4096 :])
        damaged = world.store.read_bytes()
        line = refused_start(world.store)
        assert line.startswith("the store is damaged: "), line
        assert world.store.read_bytes() == damaged
    world.store.write_bytes(whole[:-5000])  # cut
    assert refused_start(world.store).startswith("the store is damaged: ")
    world.store.write_bytes(whole)
    with world.served() as port:
        assert world.client(port).step()
    world.check()


# ---- disks ----


def test_full_disk_refuses_answers_until_there_is_room(world: World, tmp_path: Path) -> None:
    def served_from_a_small_disk() -> tuple[list[str], str, list[str]]:
        small = tmp_path / "small"
        small_disk(small, world.store.stat().st_size + 2**18)
        world.store = Path(shutil.copy(world.store, small))
        with world.served() as port:
            client = world.client(port)
            assert client.step()
            client.fill()
            fill_up(small / "filler")
            renew = {"groups": [group["id"] for group in client.held]}
            while client.connection.send("POST", "/api/renew", renew).status == 200:
                pass  # SQLite has room that it took before
            codes = [refusal(client, an_answer(client)).code for _ in range(3)]
            assert client.connection.send("GET", "/api/queues").status == 200
            with ThreadPoolExecutor() as threads:
                under_way = threads.submit(client.answer, "pass")  # sent again and again
                time.sleep(0.1)
                (small / "filler").unlink()
                assert under_way.result().confirmed
        fill_up(small / "filler")
        start = refused_start(world.store)
        (small / "filler").unlink()
        return codes, start, faults(world.store, world.journal, world.journal.confirmed(), at_rest=True)

    codes, start, wrong = in_own_mounts(served_from_a_small_disk)
    assert codes == ["disk_full"] * 3
    assert start.startswith("the disk is full. Make room. ")
    assert wrong == []


def test_limit_on_the_size_of_files_is_named_and_may_be_raised(world: World) -> None:
    def served_under_a_limit() -> tuple[str, list[str], list[str]]:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with world.served() as port:
            client = world.client(port)
            resource.setrlimit(resource.RLIMIT_FSIZE, (world.store.stat().st_size, hard))
            renew = {"groups": [group["id"] for group in client.held]}
            while client.connection.send("POST", "/api/renew", renew).status == 200:
                pass
            code = refusal(client, an_answer(client)).code
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert client.step()
        return code, world.terminal, faults(world.store, world.journal, world.journal.confirmed(), at_rest=True)

    code, terminal, wrong = in_child(served_under_a_limit)
    assert (code, wrong) == ("disk_full", [])
    assert terminal[0].startswith(f"{world.store}: ulimit -f allows no larger file. Raise it. What is answered ")


def test_read_only_folder_is_refused_in_one_line(world: World, tmp_path: Path) -> None:
    def start() -> str:
        read_only(tmp_path)
        return refused_start(world.store)

    assert in_own_mounts(start).startswith("cannot be ")
    with world.served() as port:
        assert world.client(port).step()
    world.check()


def fill_up(file: Path) -> None:
    """Writes until the disk is full."""
    with file.open("wb", buffering=0) as opened, suppress(OSError):
        while True:
            opened.write(bytes(4096))
