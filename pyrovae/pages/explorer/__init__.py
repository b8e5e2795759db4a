"""Writes one HTML file in which a reader moves through a run's latent space; its networks run in the browser.

`contents` gathers the data of the page from `samples` and `export`. `export` traces the encoder and the decoder
(`program`), rounds their weights (`rounding`) and turns ATen operations into steps (`steps`, `operations`), which
`nn.js` runs. The other scripts are the page itself. The file loads nothing from elsewhere.
"""

import base64
import hashlib
import re
from html import escape
from importlib.resources import files

from pyrovae.errors import InputError
from pyrovae.runs.run import Run

MOST = 50_000_000  # bytes of a page
SCRIPTS = ("nn.js", "store.js", "state.js", "plane.js", "pictures.js", "controls.js", "page.js")  # in this order


def explore(run: Run, most: int = MOST) -> str:
    """Return the HTML page on which a reader explores the latent space of a run.

    Raises `InputError` for a model with an operation that the page cannot do, or if the page has over `most` bytes.
    """
    from pyrovae.pages.explorer.contents import contents_of
    from pyrovae.pages.explorer.store import Store
    from pyrovae.pages.explorer.words import explanation, facts, subtitle

    if len(run.data.shape) != 3:
        raise InputError(f"explore: expected a model of images, got one of vectors of {run.data.shape[0]} numbers")
    if run.vae.missing:
        raise InputError("explore: expected a model of whole images, got one of images of which pixels are missing")
    store = Store()
    contents = contents_of(run, store)
    page = _filled(
        {
            "title": escape(run.path.resolve().name),
            "subtitle": escape(subtitle(run)),
            "about": "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in explanation(run, contents)),
            "facts": "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts(run, contents)),
            "contents": contents.as_json(),
            "numbers": store.text(),
        }
    )
    if len(page) > most:
        raise InputError(
            f"explore: expected a page of at most {most / 1e6:.0f} MB, got one of {len(page) / 1e6:.0f} MB"
        )
    return page


def _filled(parts: dict[str, str]) -> str:
    """Fill the template in a single pass, so that a `{{name}}` inside a part stays as it is."""
    sources = {name: (files(__name__) / name).read_text(encoding="utf-8") for name in ("page.css", *SCRIPTS)}
    style, script = sources["page.css"], "".join(sources[name] for name in SCRIPTS)
    parts = parts | {"style": style, "script": script, "policy": _policy(style, script)}
    template = (files(__name__) / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _policy(style: str, script: str) -> str:
    """Return a content security policy that allows this style and this script, by their digests, and nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}';"
        " base-uri 'none'; form-action 'none'"
    )
