"""Finding the browser. This test needs none, so it runs with `make test`."""

from pathlib import Path

import pytest
from support.chromium import NoBrowserError, programs


def test_without_chromium_the_error_names_the_packages_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBrowserError, match=r"Chromium and chromedriver not found.*apt-get install .*chromium-driver"):
        programs()
