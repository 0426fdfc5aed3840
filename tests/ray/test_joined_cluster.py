"""Promises about a cluster that was started with `ray start`: a run joins it, and doctor looks at its hosts."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lines import SHIELD
from support.ray_nodes import Nodes, head

from yanshou.version import __version__

pytestmark = pytest.mark.ray

OTHER = "0.0.1"  # of yanshou on the second host


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with head() as started:
        yield started


def yanshou(nodes: Nodes, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "yanshou.cli", *arguments], cwd=folder, env=nodes.environment, check=False,
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


def test_a_run_joins_it_and_relative_paths_are_the_drivers(
    nodes: Nodes, photo_tree: Callable[..., Path], script: Callable[..., Path], tmp_path: Path
) -> None:
    photo_tree({f"{SHIELD}/审核通过/QC-{number}": 2 for number in range(8)})
    script(name="script.json")
    ran = yanshou(
        nodes, "summarize", "--input-dir", "in", "--output-dir", "out", "--mission", SHIELD, "--engine", "scripted",
        "--checkpoint", "script.json", "--workers", "2", "--ray-address", nodes.address, folder=tmp_path,
    )  # fmt: skip
    assert (ran.returncode, "ray" in ran.stderr.lower()) == (0, False)
    assert len((tmp_path / "out" / f"{SHIELD}_stage_a.jsonl").read_bytes().splitlines()) == 8


def test_without_its_token_it_cannot_be_joined(nodes: Nodes) -> None:
    without = {name: value for name, value in nodes.environment.items() if not name.startswith("RAY_AUTH")}
    ran = yanshou(Nodes(nodes.port, without, nodes.folder), "doctor", "--ray-address", nodes.address)
    assert f"FAIL  --ray-address {nodes.address}: the cluster wants its token." in ran.stdout
    assert (ran.returncode, ran.stderr) == (1, "")


def test_doctor_names_hosts_versions_and_what_a_host_lacks(
    nodes: Nodes, photo_tree: Callable[..., Path], tmp_path: Path
) -> None:
    stub = tmp_path / "stub" / "yanshou"
    stub.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "version.py").write_text(f'__version__ = "{OTHER}"\n')
    nodes.start(f"--address={nodes.address}", PYTHONPATH=str(stub.parent))
    photos = photo_tree({f"{SHIELD}/审核通过/QC-1": 2})
    ran = yanshou(nodes, "doctor", "--ray-address", nodes.address, "--input-dir", str(photos))
    host = os.uname().nodename
    found = [line for line in ran.stdout.splitlines() if host in line]
    assert len([line for line in found if f"yanshou {__version__}, python" in line]) == 1
    assert len([line for line in found if "first photo" in line and "QC-1/1.jpg" in line]) == 1
    (failed,) = [line for line in found if line.startswith("FAIL")]
    assert f"yanshou {OTHER} is there, and this host has {__version__}. Install the same version there." in failed
    assert ran.returncode == 1
