"""A server's lines are those of the local engine: the same pixels, and the same prompt."""

import json
import shutil
from pathlib import Path

import pytest
from support.cli_runs import run
from support.endpoint_runs import LocalRun, files_text, group_folder, summaries, through_server
from support.faulty_proxy import CHAT, Proxy
from support.lines import SHIELD
from support.photos import noise
from support.serving import Server
from support.stage_a_runs import run_file

from yanshou.engines import checkpoint
from yanshou.storage.jsonl import read_lines

pytestmark = pytest.mark.endpoint


def test_lines_and_counts_equal_those_of_the_local_engine(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path
) -> None:
    ran = through_server(server.url, server.model, photos, tmp_path, "--json", "--checkpoint", "demo")
    assert ran.exit_code == 0, ran.output
    assert summaries(tmp_path) == local.lines
    (row,) = json.loads(ran.stdout)
    counts = ("groups", "written", "failed", "photos", "rotated", "warnings")
    assert {name: row[name] for name in counts} == {name: local.row[name] for name in counts}
    assert row["rotated"] >= 4
    assert row["late_warnings"] == []  # its prompts have the tokens that the checkpoint's own template makes


def test_the_run_file_names_server_and_model(server: Server, photos: Path, tmp_path: Path) -> None:
    assert through_server(server.url, server.model, photos, tmp_path, "--limit", "1").exit_code == 0
    recorded = run_file(tmp_path)
    assert recorded["settings"]["model"] == server.model
    assert (recorded["environment"]["engine"], recorded["environment"]["server"]) == ("endpoint", server.url)


def test_another_tokenizer_is_reported_once_with_both_numbers(server: Server, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(checkpoint.find("demo", None).weights, other)
    template = other / "chat_template.jinja"
    template.write_text("好的。" + template.read_text(encoding="utf-8"), encoding="utf-8")
    ran = through_server(server.url, server.model, photos, tmp_path / "out", "--checkpoint", other, "--limit", "3")
    assert ran.exit_code == 0, ran.output
    (told,) = [line for line in ran.stderr.splitlines() if "tokens" in line]
    assert str(other) in told


def test_a_photo_that_cannot_be_read_fails_only_its_group(server: Server, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        folder = group_folder(tmp_path / "in", f"QC-{number}")
        noise(number, 200, 200).save(folder / "1.jpg")
        noise(number, 200, 200).save(folder / "2.jpg")
    bad = folder.with_name("QC-2") / "2.jpg"
    bad.write_bytes(bad.read_bytes()[:900])
    ran = through_server(server.url, server.model, tmp_path / "in", tmp_path / "out")
    assert ran.exit_code == 3
    assert [line["group_id"] for line in summaries(tmp_path / "out")] == ["QC-1", "QC-3"]
    ((_, fault),) = read_lines(tmp_path / "out" / f"{SHIELD}_stage_a.errors.jsonl")
    assert (fault["group_id"], fault["photo"], fault["step"]) == ("QC-2", bad.name, "load")


def test_no_photo_leaves_before_it_is_upright_and_small(server: Server, photos: Path, tmp_path: Path) -> None:
    """Every picture that the server gets is at the size at which the local engine reads it, without EXIF."""
    with Proxy(server.port) as proxy:
        assert through_server(proxy.url, server.model, photos, tmp_path, "--limit", "2").exit_code == 0
    pictures = [received.picture() for received in proxy.received if received.path == CHAT]
    assert len(pictures) > 2
    for picture in pictures:
        assert (picture.width % 32, picture.height % 32) == (0, 0)
        assert 65_536 <= picture.width * picture.height <= 98_304
        assert not picture.getexif()


def test_verdicts_equal_those_of_the_local_engine_and_have_no_probability(
    server: Server, local: LocalRun, tmp_path: Path
) -> None:
    stage_a = str(local.out / f"{SHIELD}_stage_a.jsonl")
    server_options = ["--engine", "endpoint", "--endpoint", server.url, "--model", server.model]
    local_options = ["--checkpoint", "demo", "--engine", "transformers", "--device", "cpu"]
    for name, options in (("server", server_options), ("local", local_options)):
        ran = run("judge", "--output-dir", str(tmp_path / name), *options, stage_a)
        assert ran.exit_code == 0, ran.output
    found, expected = (_verdicts(tmp_path / name) for name in ("server", "local"))
    assert [line.pop("p_pass") for line in found] == [None] * 5
    assert all(line.pop("p_pass") is not None for line in expected)
    assert found == expected


def test_a_threshold_is_refused_where_the_server_gives_no_probability(
    server: Server, local: LocalRun, tmp_path: Path
) -> None:
    stage_a = str(local.out / f"{SHIELD}_stage_a.jsonl")
    ran = run(
        "judge", "--output-dir", str(tmp_path), "--engine", "endpoint", "--endpoint", server.url, "--model",
        server.model, "--threshold", "0.5", stage_a,
    )  # fmt: skip
    assert ran.exit_code in (1, 2)
    assert "p_pass" in ran.stderr
    assert "vLLM" in ran.stderr
    assert files_text(tmp_path) == b""


def _verdicts(out: Path) -> list[dict[str, object]]:
    hidden = ("timestamp", "raw_text")
    return [
        {key: value for key, value in line.items() if key not in hidden}
        for _, line in read_lines(out / f"{SHIELD}_verdicts.jsonl")
    ]
