"""Promises of `yanshou.text`: what is printed can neither command a terminal nor hide."""

import os
import unicodedata
from pathlib import Path

import pytest

from yanshou.text import as_utf8, printable, truncate

HARMLESS = [
    "挡风板安装检查",
    "站点【A】 2／图片\u3000１.png", "BBU安装方式检查（正装）", "e\u0301", "📷", r"C:\photos\图片_1.jpg",
    "[red]x[/red] :smile:", "a\u00a0b", "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_text_of_any_language_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;cm0=\x1b\\b", r"a\x1b]52;c;cm0=\x1b\b"), ("\x1b[2J", r"\x1b[2J"), ("\x9b2J", r"\x9b2J"),
        ("a\nerror: b", r"a\nerror: b"), ("a\rb\tc\x0bd\x7f\0", r"a\rb\tc\x0bd\x7f\x00"), ("a\x85b", r"a\x85b"),
        ("\u202egpj.exe\u2069", r"\u202egpj.exe\u2069"), ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\u200bb\ufeff\u2060\xad", r"a\u200bb\ufeff\u2060\xad"), ("\U000e0041", r"\U000e0041"), ("\ud800", r"\ud800"),
        (os.fsdecode("挡".encode("gbk")), r"\xb5\xb2"),
    ],
)  # fmt: skip
def test_what_a_terminal_would_obey_or_hide_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_nothing_that_is_printed_controls_a_terminal() -> None:
    every = printable("".join(map(chr, range(0x110000))))
    assert {unicodedata.category(character) for character in every} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()
    every.encode()


def test_paths_are_printed_as_text() -> None:
    assert printable(Path("in/a\x1bb")) == r"in/a\x1bb"


def test_a_shortened_text_is_printable() -> None:
    assert truncate("a\x1b\u3000b") == "a\\x1b\u3000b"
    assert truncate("a\n" * 40, 5) == r"a\na\n…"


def test_a_name_in_another_encoding_becomes_valid_utf8_and_keeps_all_else() -> None:
    assert as_utf8(os.fsdecode("挡".encode("gbk")) + "\u200b挡") == "\\xb5\\xb2\u200b挡"
