"""The parts of report.html: templates, scripts and styles in `parts/`, joined into one page that needs no other file.

parts/page.html.jinja       the page's frame, which includes the other templates in their order
parts/*.js                  joined in the order of SCRIPTS into one function; the page's policy holds its hash
parts/*.css                 joined in the order of STYLES, each with its own rules for a phone
"""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

PARTS = Path(__file__).parent / "parts"
PAGE = "page.html.jinja"
SCRIPTS = ("base", "filters", "list", "group", "large_photo", "keys", "curve", "start")
STYLES = ("base", "figures", "promises", "curve", "worth", "list", "group", "large_photo")


def environment() -> Environment:
    """Templates that escape whatever is inserted, and fail on a name that is not defined."""
    return Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def script() -> str:
    """The page's one script. A part uses the names that an earlier part defines."""
    return '"use strict";\n(() => {\n' + "\n".join(_source(f"{name}.js") for name in SCRIPTS) + "})();\n"


def script_hash(text: str) -> str:
    """The hash by which a Content-Security-Policy allows the script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def style() -> str:
    """The page's one style sheet."""
    return "\n".join(_source(f"{name}.css") for name in STYLES)


def _source(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")
