"""The documents say what the program does. UPDATE_DOCS=1 writes docs/cli.md anew."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from yanshou.cli import main
from yanshou.schema.records import StageARecord

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
WIDTH = 110


def help_pages() -> str:
    """docs/cli.md as it should be: the help of every command."""
    parts = [
        "# Command line\n\nWritten by `UPDATE_DOCS=1 pytest tests/test_docs.py`; `-` and `_` are the same in options.\n"
    ]
    for name, command in sorted(main.commands.items()):
        context = click.Context(
            command,
            info_name=f"yanshou {name}",
            terminal_width=WIDTH,
            max_content_width=WIDTH,
            **command.context_settings,
        )
        parts.append(f"## {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def test_cli_page_is_the_help_of_every_command() -> None:
    page = ROOT / "docs" / "cli.md"
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(help_pages(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == help_pages()


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks in this language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_python_example_runs(tmp_path: Path) -> None:
    from random import Random

    from yanshou.world.draw import draw
    from yanshou.world.scene import random_scene

    for photo in ("a.jpg", "b.jpg"):
        draw(random_scene(Random(photo)), Random(photo)).save(tmp_path / photo)
    (code,) = blocks(ROOT / "docs" / "usage.md", "python")
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 2


def test_line_in_the_documents_is_a_record() -> None:
    (line,) = blocks(ROOT / "docs" / "files.md", "json")
    assert StageARecord.model_validate_json(line).label in ("pass", "fail")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_shortened_line_of_the_readme_has_every_key(name: str) -> None:
    (line,) = blocks(ROOT / name, "jsonc")
    record = json.loads(re.sub(r"//.*", "", line))
    assert list(record) == list(StageARecord.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_fits_into_120_columns(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    without_targets = re.sub(r"\]\([^)]*\)", "]", prose)
    assert [line for line in without_targets.splitlines() if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [*re.findall(r"\]\(([^)#\s]+)[^)]*\)", text), *re.findall(r'src="([^"]+)"', text)]
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_documents_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = {option for command in main.commands.values() for param in command.params for option in param.opts}
    known |= {
        option for command in main.commands.values() for param in command.params for option in param.secondary_opts
    }
    for line in re.findall(r"yanshou (?:summarize|score|doctor|synth|demo)\b[^\n`]*", text):
        assert set(re.findall(r"--[a-z][a-z-]+", line)) <= known | {"--help"}, line
