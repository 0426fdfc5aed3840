"""Promises of `yanshou doctor --ray-address` about hosts that differ, and about what one host sees. No Ray runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.checkpoints import write_tiny
from support.cli_runs import run

from yanshou.cli.cluster_findings import _differences, _host
from yanshou.engines.checkpoint import find
from yanshou.engines.workers.host_view import Host, HostView, view

VERSIONS = {"yanshou": "1", "python": "3.12.1", "torch": "2.14"}
PRINTS = {"checkpoint": "0123456789abcdef"}
PHOTO = "QC-1/1.jpg, 671 bytes"


def host(number: int, gpu: str = "H100", **fields: Any) -> Host:
    seen = HostView(f"host-{number}", **({"versions": VERSIONS, "fingerprints": PRINTS, "first_photo": PHOTO} | fields))
    return Host(f"10.0.0.{number}", cpus=16, gpus=2, gpu=gpu, view=seen)


def test_a_good_host_is_named_with_all_that_a_worker_there_would_have() -> None:
    assert [(finding.level, finding.text) for finding in _host(host(1))] == [
        ("ok", "host-1 (10.0.0.1): 2 GPUs (H100), 16 CPUs, yanshou 1, python 3.12.1, torch 2.14"),
        ("ok", "host-1 (10.0.0.1): checkpoint fingerprint 0123456789ab…"),
        ("ok", "host-1 (10.0.0.1): first photo QC-1/1.jpg, 671 bytes"),
    ]
    assert [(finding.level, finding.text) for finding in _host(host(1, faults=("/data: cannot be read",)))] == [
        ("FAIL", "host-1 (10.0.0.1): /data: cannot be read")
    ]


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (host(2, versions=VERSIONS | {"torch": "2.13"}), "torch is 2.14 on {}, 2.13 on {}. Install the same version"),
        (host(2, gpu="A100"), "GPU is H100 on {}, A100 on {}. Install the same version on both, or accept"),
        (host(2, fingerprints={"checkpoint": "f" * 16}), "the fingerprint of the checkpoint is 0123456789ab on {}"),
        (host(2, first_photo="QC-2/1.jpg, 5 bytes"), "the first photo is QC-1/1.jpg, 671 bytes on {}"),
    ],
)
def test_a_difference_is_a_fault_that_names_both_hosts(other: Host, text: str) -> None:
    (finding,) = _differences(host(1), other)
    assert finding.level == "FAIL"
    assert text.format("host-1 (10.0.0.1)", "host-2 (10.0.0.2)") in finding.text


def test_another_python_is_none_and_a_faulty_host_is_not_compared() -> None:
    assert list(_differences(host(1), host(2, versions=VERSIONS | {"python": "3.12.2"}))) == []
    assert list(_differences(host(1), host(2, versions={}, faults=("no yanshou",)))) == []


def test_a_host_sees_checkpoint_and_photos(tmp_path: Path, photo_tree: Callable[..., Path]) -> None:
    photos, tiny = photo_tree({"b/QC-10": 1, "b/QC-2": ["2.jpg", "10.jpg"], ".a": 1}), write_tiny(tmp_path / "tiny")
    found = view(str(tiny), None, photos)
    assert found.faults == ()
    assert found.fingerprints == find(str(tiny)).fingerprints()
    assert found.first_photo.startswith("b/QC-2/2.jpg, ")


def test_what_a_host_does_not_see_is_a_fault_with_its_path(tmp_path: Path) -> None:
    found = view(str(tmp_path / "none"), None, tmp_path / "gone")
    assert [str(tmp_path) in fault for fault in found.faults] == [True, True]
    assert view(None, None, tmp_path).faults == (
        f"{tmp_path}: no photo in it. Mount the photos there under this path.",
    )


def test_an_input_folder_is_for_the_hosts_of_a_cluster(tmp_path: Path) -> None:
    result = run("doctor", "--input-dir", str(tmp_path))
    assert result.exit_code == 2
    assert "--ray-address" in result.output


def test_doctor_looks_at_every_host_under_the_absolute_paths_of_this_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[object] = []

    def look(*arguments: object) -> list[Host]:
        asked.extend(arguments)
        return [host(1), host(2, gpu="A100")]

    monkeypatch.setitem(sys.modules, "yanshou.engines.workers.hosts", SimpleNamespace(look=look))
    monkeypatch.chdir(tmp_path)
    result = run("doctor", "--ray-address", "head:6379", "--input-dir", "photos")
    assert asked == ["head:6379", None, None, tmp_path / "photos"]
    assert "GPUs of the cluster: 4, and --workers all makes one worker for each" in result.output
    assert "FAIL  GPU is H100 on host-1 (10.0.0.1), A100 on host-2 (10.0.0.2)." in result.output
    assert result.exit_code == 1


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "yanshou.engines.workers.ray_runtime", raising=False)
    monkeypatch.delitem(sys.modules, "yanshou.engines.workers.hosts", raising=False)
    result = run("doctor", "--ray-address", "head:6379")
    assert "FAIL  --workers needs Ray: pip install 'yanshou[ray]'" in result.output
