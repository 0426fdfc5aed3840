"""compare.html: the figures of a comparison, and the worst changes with both lines beside the photo.

    compare.html.jinja      the page; every text is escaped on insertion
    compare.css, compare.js inserted unchanged; the page's policy holds the script's hash, so no other script runs

The page is complete without its script, which only filters. It loads nothing but thumbnails beside it.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from yanshou.compare.comparison import Comparison
from yanshou.compare.entry_changes import Entries, marked
from yanshou.compare.figure_tables import figure_tables
from yanshou.compare.page_photos import ADDRESS, photo_of
from yanshou.compare.summaries_compared import PhotoChange
from yanshou.compare.verdicts_compared import VerdictPair
from yanshou.evaluate.summaries import ordered_categories
from yanshou.report.thumbnails import Thumbnail
from yanshou.schema.records import now
from yanshou.version import __version__

NAME = "compare.html"
HERE = Path(__file__).parent

Change = PhotoChange | VerdictPair
Texts = Mapping[str, str]
Card = dict[str, Any]  # what the template shows of one change


def page(comparison: Comparison, shown: Sequence[Change], photos: Mapping[str, Thumbnail], texts: Texts) -> str:
    """The whole page. `shown`: the changes on it; `photos`: the thumbnails of their photos, by path."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    script = _source("compare.js")
    cards = [_card(change, photos, texts) for change in shown]
    total = Counter(change.key.mission for change in comparison.changes)
    return environment.from_string(_source("compare.html.jinja")).render(
        t=texts,
        kind=comparison.kind,
        moment=now().replace("T", " "),
        version=__version__,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(_source("compare.css")),
        comparison=comparison,
        tables=figure_tables(comparison, texts),
        differences=_differences(comparison, texts),
        cards=cards,
        total=sum(total.values()),
        missions=[(name, sum(card["mission"] == name for card in cards), total[name]) for name in total],
        categories=ordered_categories({name for card in cards for name in card["categories"]}),
        kinds=list(dict.fromkeys(kind for card in cards for kind in card["kinds"])),
    )


def _differences(comparison: Comparison, texts: Texts) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Settings and environments that differ: a heading, and rows of name, value in A and value in B."""
    parts = (("settings", comparison.runs.settings), ("environment", comparison.runs.environment))
    return [(texts[name], [(one.key, *one.texts) for one in found]) for name, found in parts if found]


def _card(change: Change, photos: Mapping[str, Thumbnail], texts: Texts) -> Card:
    card = {
        "mission": change.key.mission,
        "group": change.key.group_id,
        "human": texts["human"].format(label=texts[f"says_{change.key.label or 'none'}"]),
    }
    if isinstance(change, PhotoChange):
        return {**card, **_photo_card(change, photos, texts)}
    return {**card, **_verdict_card(change, texts)}


def _photo_card(change: PhotoChange, photos: Mapping[str, Thumbnail], texts: Texts) -> Card:
    number, thumbnail = texts["photo"].format(number=change.photo), photos[photo_of(change)]
    entries = change.entries
    kind = f"change_{change.change.replace(' ', '_')}"
    says = [texts[f"says_{label or 'none'}"] for label in change.rules]
    rules = texts["rules"].format(a=says[0], b=says[1]) if change.turned else ""
    renamed = texts["renamed"].format(name=PurePath(change.path_b).name) if change.path_b and change.renamed else ""
    return {
        "kinds": ["turned", kind] if change.turned else [kind],
        "categories": entries.categories,
        "photo": {
            "address": thumbnail.name and ADDRESS + thumbnail.name,
            "file": thumbnail.url,
            "open": texts["open_photo"].format(photo=number),
            "gone": "" if thumbnail.state == "there" else texts[thumbnail.state],
        },
        "title": number,
        "notes": [note for note in (rules, renamed) if note],
        "name": PurePath(change.path).name,
        "sides": [_line(change.a, entries.lost, texts), _line(change.b, entries.gained, texts)],
    }


def _line(line: str | None, changed: Entries, texts: Texts) -> Card:
    """One side of a photo: the line in pieces, changed entries marked."""
    if line is None:
        return {"head": "", "pieces": [(texts["no_line"], False)]}
    return {"head": "", "pieces": marked(line, changed)}


def _verdict_card(pair: VerdictPair, texts: Texts) -> Card:
    corrected = pair.label != pair.key.label
    human = texts["human"].format(label=texts[f"says_{pair.label or 'none'}"])
    before = texts["corrected"].format(label=texts[f"says_{pair.key.label or 'none'}"]) if corrected else ""
    return {
        "human": human + before,
        "kinds": [f"kind_{pair.kind}"],
        "categories": [],
        "photo": None,
        "title": "",
        "notes": [texts["other_summaries"]] if pair.other_summaries else [],
        "name": "",
        "sides": [
            {
                "head": " · ".join(_verdict_head(said.verdict, said.p_pass, texts)),
                "pieces": [(said.reason, False)],
            }
            for said in (pair.a, pair.b)
        ],
    }


def _verdict_head(verdict: str, p_pass: float | None, texts: Texts) -> Iterator[str]:
    yield texts[f"says_{verdict}"]
    if p_pass is not None:
        yield texts["p_pass"].format(p=f"{p_pass:.4f}")


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
