"""Run the lessons and write each as a notebook with its outputs: `python results/course/notebooks.py [LESSON.py ...]`.

Lessons are written in LESSON.py, in the percent format that jupytext and most editors read: `# %%` begins a cell of
code, `# %% [markdown]` a cell of text. This script makes LESSON.ipynb from it; do not edit that file.
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
    """List the lessons in their order."""
    return sorted(HERE.glob("[0-9]-*.py"))


def cells(lesson: Path) -> list[tuple[str, str]]:
    """Split a lesson into its cells; each is a kind, `markdown` or `code`, and a text."""
    parts = []
    for part in re.split(r"^# %%", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        text = body.strip("\n")
        if "[markdown]" in head:
            parts.append(("markdown", re.sub(r"^# ?", "", text, flags=re.MULTILINE)))
        else:
            parts.append(("code", text))
    return parts


def with_magics(text: str) -> str:
    """Uncomment magics for Jupyter: `# %matplotlib inline` becomes `%matplotlib inline`, which Python cannot read."""
    return re.sub(r"^# %(?=\w)", "%", text, flags=re.MULTILINE)


def executed(lesson: Path) -> Any:
    """Run a lesson from top to bottom and return it as a notebook, without times or ids that change from run to run."""
    import nbformat
    from nbclient import NotebookClient

    new_cell = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = nbformat.v4.new_notebook(metadata=kernel)
    for kind, text in cells(lesson):
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        book.cells.append(new_cell[kind](with_magics(text), id=name))
    NotebookClient(book, timeout=600, record_timing=False, resources={"metadata": {"path": str(HERE)}}).execute()
    book.metadata = {**kernel, "language_info": {"name": "python"}}
    for cell in book.cells:
        if "outputs" in cell:
            cell.outputs = joined(cell.outputs)
    for output in (output for cell in book.cells for output in cell.get("outputs", ())):
        if output.get("name") == "stderr":
            raise SystemExit(f"{lesson.name}: expected no warnings, got {output['text']}")
        output.get("metadata", {}).clear()
        if png := output.get("data", {}).get("image/png"):
            output["data"] = {"image/png": small(png)}
    return book


def joined(outputs: list[Any]) -> list[Any]:
    """Join printed texts that follow each other, as Jupyter splits them at random moments."""
    result: list[Any] = []
    for output in outputs:
        if result and "name" in output and output["name"] == result[-1].get("name"):
            result[-1]["text"] += output["text"]
        else:
            result.append(output)
    return result


def small(png: str) -> str:
    """Reduce a base64 PNG to 128 colours, which takes a third of the bytes."""
    from PIL import Image

    file = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    import nbformat

    for lesson in map(Path, sys.argv[1:]) if sys.argv[1:] else lessons():
        target = lesson.with_suffix(".ipynb")
        target.write_text(nbformat.writes(executed(lesson)) + "\n", encoding="utf-8")
        print(target)
