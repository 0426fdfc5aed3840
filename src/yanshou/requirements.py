"""The packages that yanshou needs and their version ranges: those of pyproject.toml, as the installation has them."""

from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def requirements(extra: str = "") -> dict[str, "Requirement"]:
    """The packages of yanshou itself, or of one of its extras, by name.

    Empty where yanshou is not installed but only on the path.
    """
    from packaging.requirements import Requirement  # its parser would slow down the start of every command

    try:
        declared = [Requirement(line) for line in requires("yanshou") or ()]
    except PackageNotFoundError:
        return {}
    return {requirement.name: requirement for requirement in declared if _belongs(requirement, extra)}


def installed(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def how_to_install(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'yanshou[{extra}]' (in a checkout: pip install -c constraints.txt -e '.[{extra}]')"


def _belongs(requirement: "Requirement", extra: str) -> bool:
    """Whether the requirement is one of the extra's own: yanshou's own packages belong to no extra."""
    marker = requirement.marker
    if not extra:
        return marker is None or marker.evaluate({"extra": ""})
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})
