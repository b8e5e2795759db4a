"""Run every lesson and write it as a notebook with its outputs: `python results/course/notebooks.py [LESSON.py ...]`.

A lesson is written in LESSON.py, in the percent format that jupytext and most editors read: `# %%` begins a cell of
code, `# %% [markdown]` one of text. LESSON.ipynb is made from it, and is never edited.
"""

import base64
import hashlib
import io
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def lessons() -> list[Path]:
    return sorted(HERE.glob("[0-9]-*.py"))


def cells(lesson: Path) -> list[tuple[str, str]]:
    """The kind, `markdown` or `code`, and the text of each cell."""
    found = []
    for part in re.split(r"^# %%", lesson.read_text(), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        text = body.strip("\n")
        if "[markdown]" in head:
            found.append(("markdown", re.sub(r"^# ?", "", text, flags=re.MULTILINE)))
        else:
            found.append(("code", text))
    return found


def with_magics(text: str) -> str:
    """As Jupyter reads it: `# %matplotlib inline` is a comment to Python, `%matplotlib inline` is none to Jupyter."""
    return re.sub(r"^# %(?=\w)", "%", text, flags=re.MULTILINE)


def executed(lesson: Path) -> Any:
    """The lesson as a notebook, run from top to bottom; the same each time, so that a diff shows what changed."""
    import nbformat
    from nbclient import NotebookClient

    made = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = nbformat.v4.new_notebook(metadata=kernel)
    for kind, text in cells(lesson):
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        book.cells.append(made[kind](with_magics(text), id=name))
    NotebookClient(book, timeout=600, record_timing=False, resources={"metadata": {"path": str(HERE)}}).execute()
    book.metadata = {**kernel, "language_info": {"name": "python"}}
    for output in (output for cell in book.cells for output in cell.get("outputs", ())):
        if output.get("name") == "stderr":
            raise SystemExit(f"{lesson.name}: expected no warnings, got {output['text']}")
        output.get("metadata", {}).clear()
        if png := output.get("data", {}).get("image/png"):
            output["data"] = {"image/png": small(png)}
    return book


def small(png: str) -> str:
    """The picture in 128 colours: a third of the bytes."""
    from PIL import Image

    held = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(held, "png", optimize=True)
    return base64.b64encode(held.getvalue()).decode()


if __name__ == "__main__":
    import nbformat

    for lesson in map(Path, sys.argv[1:]) if sys.argv[1:] else lessons():
        target = lesson.with_suffix(".ipynb")
        target.write_text(nbformat.writes(executed(lesson)) + "\n")
        print(target)
