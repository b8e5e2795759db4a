"""One page, by itself, on which a run's latent space is explored: the networks run in the browser, nothing is fetched.

`contents` gathers what is shown; `export` traces encoder and decoder (`program`), rounds their weights (`rounding`) and
turns ATen's operations into steps (`steps`, `operations`) that `nn.js` takes; the other scripts are the page.
"""

import base64
import hashlib
import json
import re
from html import escape
from importlib.resources import files
from typing import Any

from pyrovae.errors import InputError

MOST = 50_000_000  # bytes
SCRIPTS = ("nn.js", "store.js", "state.js", "plane.js", "pictures.js", "controls.js", "page.js")  # one after another


def explore(run: Any) -> str:
    """The page of a run, HTML. Raises `InputError` for a model with an operation that the page does not know."""
    from pyrovae.pages.explorer.contents import contents
    from pyrovae.pages.explorer.store import Store
    from pyrovae.pages.explorer.words import about, facts, palette, subtitle

    store = Store()
    shown = contents(run, store)
    words = {"name": run.path.resolve().name, "classes": run.classes, "colours": palette(len(run.classes))}
    parts = {
        "title": escape(words["name"]),
        "subtitle": escape(subtitle(run)),
        "about": "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in about(run)),
        "facts": "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(run, shown)),
        "contents": json.dumps(shown | words, separators=(",", ":"), allow_nan=False).replace(
            "<", "\\u003c"
        ),  # ends no script
        "numbers": store.text(),
    }
    page = _page(parts)
    if len(page) > MOST:
        raise InputError(
            f"explore: expected a page of at most {MOST / 1e6:.0f} MB, got one of {len(page) / 1e6:.0f} MB"
        )
    return page


def _page(parts: dict[str, str]) -> str:
    """The template with its parts, in one go: none of them is looked into for others."""
    held = {name: (files(__name__) / name).read_text() for name in ("page.html", "page.css", *SCRIPTS)}
    style, script = held["page.css"], "".join(held[name] for name in SCRIPTS)
    parts = parts | {"style": style, "script": script, "policy": _policy(style, script)}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], held["page.html"])


def _policy(style: str, script: str) -> str:
    """Nothing is loaded from anywhere, and no script runs but ours."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}';"
        " base-uri 'none'; form-action 'none'"
    )
