"""The packages of the extra `review`, which only the server needs."""

from importlib.util import find_spec

from yanshou.errors import UsageError
from yanshou.requirements import how_to_install

PACKAGES = ("starlette", "uvicorn")


def packages_are_there() -> bool:
    """Whether the page can be served."""
    return all(map(find_spec, PACKAGES))


def check_packages() -> None:
    """Raises UsageError where a package is missing."""
    if not packages_are_there():
        raise UsageError(f"yanshou review needs {' and '.join(PACKAGES)}: {how_to_install('review')}")
