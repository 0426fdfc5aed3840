"""`yanshou review`: from files to a page that answers, and to a clean end."""

import http.client
import re
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.cli_runs import run
from support.judged_files import write_judged
from support.lines import BAD, GROUNDING, fault, stage_a_line, verdict
from support.review_command import links, served

from yanshou.missions import load_missions
from yanshou.review.start import started
from yanshou.review.store.store import Store
from yanshou.settings import ReviewSettings


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    lines = [stage_a_line("QC-1", None, BAD), stage_a_line("QC-2", None)]
    missing = [fault("QC-3", None, "a.jpg: the file is empty", step="load")]
    return write_judged(tmp_path, [verdict("QC-1", None)], lines, stage_a_faults=missing)


def status_of(link: str) -> int:
    parts = urlsplit(link)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status


def test_first_start_later_starts_and_the_end(tmp_path: Path, verdicts: Path) -> None:
    store = tmp_path / "review.sqlite"
    with served("--store", str(store), str(verdicts)) as (process, printed):
        first = links(printed)
        assert [re.sub("key=.*", "key=", link) for link in first] == [
            f"http://127.0.0.1:{urlsplit(first[0]).port}{path}?key=" for path in ("/start", "/lead")
        ]
        assert printed[:3] == [
            "reading 1 files …",
            f"{GROUNDING}: 1 possible false releases, 1 doubtful; 0 not queued; 1 without a line of Stage-A",
            "groups: 2 new, 0 replaced, 0 as before, 0 kept as they were read",
        ]
        assert printed[-4] == ""  # between the reviewers' link and the lead's
        assert [status_of(link) for link in first] == [303, 303]
        assert status_of(first[0].replace("/start?key=", "/start?key=x")) in (401, 403)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read() == f"stopped: every answer is in {store}\n"
        warnings = process.stderr.read()
        assert warnings.count("warning: ") == 2  # a group without a line, missing photos
        assert "Traceback" not in warnings
    assert not list(tmp_path.glob("*-wal"))  # its content is in the file
    with served("--store", str(store)) as (process, printed):
        again = links(printed)
        assert [urlsplit(link).query for link in again] == [urlsplit(link).query for link in first]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_new_links_and_a_page_for_the_network(tmp_path: Path, verdicts: Path) -> None:
    store = tmp_path / "review.sqlite"
    with Store.open(store) as before:
        old = before.key("reader"), before.key("lead")
    network = ["--host", "0.0.0.0", "--allow-network"]
    with served("--store", str(store), "--new-links", "--open", *network, str(verdicts)) as (process, printed):
        reader, lead = links(printed)
        assert not {urlsplit(link).query.removeprefix("key=") for link in (reader, lead)} & set(old)
        assert urlsplit(reader).hostname not in ("0.0.0.0", "127.0.0.1", None)
        local = reader.replace(str(urlsplit(reader).hostname), "127.0.0.1")
        assert status_of(local) == 303
        assert status_of(re.sub("key=.*", f"key={old[0]}", local)) != 303
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        warnings = process.stderr.read()
        assert "There is no TLS" in warnings
        assert "verdict and reason are shown from the start (--open)" in warnings


# ---- starts that are refused ----


def test_start_without_anything_to_read(tmp_path: Path) -> None:
    result = run("review", "--port", "0", "--store", str(tmp_path / "review.sqlite"))
    assert result.exit_code == 2
    assert "there is no store yet. Give files of verdicts (<mission>_verdicts.jsonl) or of decisions" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_read_leave_no_store(tmp_path: Path, verdicts: Path) -> None:
    verdicts.with_suffix(".run.json").unlink()
    result = run("review", "--port", "0", "--store", str(tmp_path / "review.sqlite"), str(verdicts))
    assert (result.exit_code, "its Stage-A files are unknown" in result.stderr) == (1, True)
    assert not (tmp_path / "review.sqlite").exists()


def test_port_that_is_taken(tmp_path: Path, verdicts: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = str(server.getsockname()[1])
        result = run("review", "--store", str(tmp_path / "review.sqlite"), "--port", port, str(verdicts))
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: port {port} of 127.0.0.1 cannot be used: Address already in use. Another program uses the port, "
        "perhaps another `yanshou review`. End that, or choose another --port.\n"
    )
    assert not (tmp_path / "review.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "other machines can reach --host 0.0.0.0, and the page has no TLS and no passwords."),
        (
            ["--allow-network"],
            "--allow-network needs a --host that other machines reach, and 127.0.0.1 is reached",
        ),
        (["--stage-a", __file__], "--stage-a needs files of verdicts or decisions. Give those, too."),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: list[str], message: str) -> None:
    result = run("review", "--port", "0", "--store", str(tmp_path / "review.sqlite"), *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run("review", "--port", "0", "--store", str(tmp_path / "review.sqlite"))
    assert result.exit_code == 2
    assert "yanshou review needs starlette and uvicorn: pip install 'yanshou[review]'" in result.stderr


def test_mission_that_a_later_start_does_not_know(tmp_path: Path) -> None:
    mission = "机柜清洁"
    own = tmp_path / "own.toml"
    own.write_text(f'name = "{mission}"\nfocus = "看。"\n[rule]\ntext = "净。"\nrequire = [["机柜/净"]]\n', "utf-8")
    verdicts = write_judged(tmp_path, [verdict("QC-1", None, mission=mission)], mission=mission)
    settings = ReviewSettings(files=(verdicts,), store=tmp_path / "review.sqlite", mission_files=(own,))
    with started(settings, load_missions(settings.mission_files)) as start:
        assert start.store.missions() == [mission]
    result = run("review", "--port", "0", "--store", str(settings.store))
    assert result.exit_code == 2
    assert f"the store has groups of {mission}, which is not one of yanshou's missions" in result.stderr


def test_nothing_is_queued(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None, p=0.9)])
    result = run("review", "--port", "0", "--store", str(tmp_path / "review.sqlite"), str(verdicts))
    assert result.exit_code == 1
    assert "no group is queued: none of the files is a possible false release or doubtful" in result.stderr


def test_share_of_another_start(tmp_path: Path, verdicts: Path) -> None:
    with Store.open(tmp_path / "review.sqlite", second_share=0.3) as store:
        store.add_groups([])
    result = run(
        "review", "--port", "0", "--store", str(tmp_path / "review.sqlite"), "--second-share", "0.2", str(verdicts)
    )
    assert result.exit_code == 2
    assert "--second-share 0.2" in result.stderr
