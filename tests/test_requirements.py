"""The version ranges are those of pyproject.toml, and so are the packages of an extra."""

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from yanshou import requirements as module
from yanshou.requirements import installed, requirements

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(autouse=True)
def current_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installation of this checkout has: the environment may have been installed from an older one."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(f'{line}; extra == "{name}"' for name in extras for line in extras[name])]
    monkeypatch.setattr(module, "requires", lambda name: lines)


def test_the_packages_and_ranges_are_those_of_the_project() -> None:
    declared = [Requirement(line) for line in PROJECT["dependencies"]]
    assert list(requirements()) == [one.name for one in declared]
    assert (
        requirements()["transformers"].specifier
        == next(one for one in declared if one.name == "transformers").specifier
    )


def test_an_extra_has_its_own_packages_alone() -> None:
    declared = [Requirement(line) for line in PROJECT["optional-dependencies"]["train"]]
    assert list(requirements("train")) == [one.name for one in declared]
    assert requirements("no such extra") == {}


def test_an_unknown_package_has_no_version() -> None:
    assert installed("no-such-package-of-yanshou") is None
    assert installed("pydantic")


def test_without_an_installation_no_range_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise PackageNotFoundError

    monkeypatch.setattr(module, "requires", missing)
    assert requirements() == {}
