"""The pages' HTML, script and style, without a browser."""

import re

import pytest

from yanshou.errors import UsageError
from yanshou.review.web.languages import TRANSLATIONS
from yanshou.review.web.page import PARTS, SCRIPTS, STYLES, _asset, asset, page

PLACEHOLDER = re.compile(r"\{\w+\}")


def test_the_languages_have_the_same_texts_and_placeholders() -> None:
    zh, en = (
        {key: sorted(PLACEHOLDER.findall(text)) for key, text in TRANSLATIONS[lang].items()} for lang in ("zh", "en")
    )
    assert zh == en


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'fr': unknown language. Choose one of zh, en\."):
        page("review", "fr")


@pytest.mark.parametrize("kind", ["review", "lead", "sign_in"])
def test_a_page_names_its_language_and_has_no_script_or_style_of_its_own(kind: str) -> None:
    for lang in TRANSLATIONS:
        html = page(kind, lang, store="s")
        assert f'<html lang="{lang}">' in html
        inline = re.findall(r"<script(?![^>]*(?:src=|application/json))|<style|style=|\son\w+=", html)
        assert inline == []


def test_only_a_page_for_a_network_says_that_there_is_no_tls() -> None:
    sentence = TRANSLATIONS["zh"]["no_tls"]
    assert sentence in page("review", "zh", network=True)
    assert sentence not in page("review", "zh").split('<script type="application/json"')[0]


def test_every_part_belongs_to_a_page() -> None:
    used = {f"{part}.js" for parts in SCRIPTS.values() for part in parts}
    used |= {f"{part}.css" for parts in STYLES.values() for part in parts}
    assert {path.name for path in PARTS.iterdir() if path.suffix in (".js", ".css")} == used


def test_the_pages_use_the_texts_that_there_are() -> None:
    parts = "\n".join(path.read_text(encoding="utf-8") for path in PARTS.iterdir())
    known = TRANSLATIONS["zh"].keys()
    used = set(re.findall(r"\b(?:texts|t)\.(\w+)", parts))
    assert used - known == set()
    composed = re.compile(r"error_|says_|decision_|lead_")  # a script adds a code or a word of the server
    assert {key for key in known - used if not composed.match(key) and f'"{key}"' not in parts} == set()


def test_names_that_strangers_ask_for_are_not_kept() -> None:
    before = _asset.cache_info().currsize
    assert [asset(f"{number}.js") for number in range(100)] == [None] * 100
    assert _asset.cache_info().currsize == before


def test_assets_are_found_by_name_only() -> None:
    script, style = asset("review.js"), asset("review.css")
    assert script is not None
    assert script[1] == "text/javascript"
    assert style is not None
    assert style[1] == "text/css"
    for name in ("", "review", "review.html", "base.js", "../page.py", "sign_in.js", "review.js.js"):
        assert asset(name) is None
