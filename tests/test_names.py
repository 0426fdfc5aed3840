"""Retired names do not come back: one thing has one name, and it is the field's.

The lists hold identifiers, file names and keys of run.json. Prose is free.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "benchmarks")

EVERYWHERE = frozenset(
    """
    Assembly COLDEST Choice DigestT Exam FastForward Heard HOPELESS Imposed ImposedContinuous ImposedLengths LAUNCH_TOKENS
    LOOK_S Lesson Lessons NARROWEST Need PATIENCE_S Pack Prepared Qwen3VL RandomWeights Reach Reckoned RoomyLayer Session
    Silence Spans Squeezed Telling Ticket WATCHED Written _angles _begin_again _calm _flying _guarded _prove _reckoned
    _told _told_apart activated add_product answering any_item any_job any_photo any_scene does_not_fit first_fault gated
    grouped_sdpa guarded heard image_numbers into_table joined last_words launch_bytes launch_tokens launch_visual_tokens
    merge_words most_visual_tokens not_written own_name quieten reckoned_with roomy_cache some_device spelt_out spelled_out
    tables train_words waited words_of younger
    """.split()
)
CONTINUOUS = frozenset(
    "Line Last Size Table arrived before choose fade filled key_lengths key_starts limited places room scratch sums "
    "turn turned used waste written".split()
)  # common words elsewhere; here each stood for something that the field has a word for
FILES = frozenset(
    """
    assembly.py batched.py cache.py checks.py choice.py differences.py exam.py fast.py group_files.py grouped.py groups.py
    imposed.py inference.py kernel.py language.py lessons.py like_a_gpu.py likelihood.py loops.py output.py pack.py
    pixels.py pointwise.py pointwise_kernel.py promise.py runner.py session.py sheet.py size.py squeeze.py tower.py view.py
    words.py
    """.split()
) - {"assembly.py"}
ONCE = ("scheduler.py", "rows.py", "tables.py", "prompt.py", "capacity.py")  # file names that must be unique in src
RUN_KEYS = frozenset({"begun", "launch_tokens", "launch_visual_tokens"})

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))


def identifiers(path: Path) -> Iterator[tuple[str, int]]:
    """Every name in the code with its line, those inside f-strings included."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            yield token.string, token.start[0]
        elif token.type == tokenize.STRING and re.match(r"[rR]?[fF]", token.string):
            for inside in re.findall(r"\{([^{}]*)\}", token.string):
                yield from ((name, token.start[0]) for name in re.findall(r"\w+", inside))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_identifier(path: Path) -> None:
    retired = EVERYWHERE | (CONTINUOUS if "continuous" in path.parts and "src" in path.parts else frozenset())
    found = [f"{path.relative_to(ROOT)}:{line}: {name}" for name, line in identifiers(path) if name in retired]
    assert found == []


def test_no_retired_file_name() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.name in FILES] == []


@pytest.mark.parametrize("name", ONCE)
def test_a_file_name_means_one_thing(name: str) -> None:
    found = [path for path in SOURCES if path.name == name and "tests" not in path.parts]
    assert len(found) <= 1, found
