"""The pages of `yanshou review` in the browser: templates, scripts and styles in `parts/`.

    review, lead, sign_in.html.jinja          one page each; texts are escaped on insertion
    *.js, *.css                               joined in the order of SCRIPTS and STYLES: review.js, review.css, …

The pages hold no data of groups: their scripts fetch it, and insert it as text. No page has a script or style in its
HTML, so the server's Content-Security-Policy can allow those of /static alone.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from yanshou.review.web.languages import translation

PARTS = Path(__file__).parent / "parts"
ICON = "icon.svg"
SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "review": (
        "base", "api", "notices", "kept", "screens", "entries", "photo_files", "photos", "zoom", "pointers", "machine",
        "queue", "group", "answers", "panel", "history", "leases", "tabs", "name", "choice", "keys", "start",
    ),
    "lead": (
        "base", "api", "notices", "entries", "machine", "lead_tables", "lead_overview", "lead_agreement",
        "lead_disputes", "lead_photos", "lead_group", "lead",
    ),
}  # fmt: skip
STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "review": ("base", "notices", "screens", "group", "zoom", "panel", "dialogs"),
    "lead": ("base", "notices", "screens", "dialogs", "lead"),
    "sign_in": ("base", "screens"),
}
ASSETS: Final = {ICON, *(f"{kind}.js" for kind in SCRIPTS), *(f"{kind}.css" for kind in STYLES)}


def environment() -> Environment:
    """Templates that escape whatever is inserted, and fail on a name that is not defined."""
    return Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def page(kind: str, lang: str, *, store: str = "", network: bool = False) -> str:
    """The HTML of a page: review, lead, or sign_in for a browser without a session.

    `store`: the store's id, under which a browser keeps answers that are not yet saved. `network`: others on the
    network can reach the server, so the page says that there is no TLS. Raises UsageError for an unknown language.
    """
    texts = dict(translation(lang))
    return environment().get_template(f"{kind}.html.jinja").render(t=texts, store=store, network=network)


def asset(name: str) -> tuple[bytes, str] | None:
    """Content and media type of a script, style or icon, such as `review.js`; None: there is none of this name."""
    return _asset(name) if name in ASSETS else None  # else the cache would keep every name that a stranger asks for


@cache
def _asset(name: str) -> tuple[bytes, str]:
    kind, _, suffix = name.partition(".")
    if suffix == "js":
        parts = "\n".join(_source(f"{part}.js") for part in SCRIPTS[kind])
        return f'"use strict";\n(() => {{\n{parts}}})();\n'.encode(), "text/javascript"
    if suffix == "css":
        return "\n".join(_source(f"{part}.css") for part in STYLES[kind]).encode(), "text/css"
    return _source(ICON).encode(), "image/svg+xml"


def _source(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")
