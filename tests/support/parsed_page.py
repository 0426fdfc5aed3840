"""A report's page taken apart without a browser."""

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report import write_report
from yanshou.settings import ThresholdSettings

VOID = {"meta", "link", "img", "input", "br", "hr"}  # elements without an end tag


class Page(HTMLParser):
    """The elements, texts and data of a page. Raises AssertionError where an end tag does not match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: Counter[str] = Counter()
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "pre": []}
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]][-1] += text
        else:
            self.texts[text.strip()] += 1

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.inside["script"][0]))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def policy(self) -> str:
        (policy,) = (m["content"] for m in self.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
        return str(policy)


def read(path: Path) -> Page:
    return Page(path.read_bytes().decode("utf-8"))


def report(files: list[Path], output_dir: Path, lang: str = "zh", **options: Any) -> Page:
    """Evaluates files of verdicts, writes the report, and reads its page."""
    path = write_report(evaluate(files, None, load_missions(), ThresholdSettings(**options)), output_dir, lang)
    assert path == output_dir / "report.html"
    return read(path)
