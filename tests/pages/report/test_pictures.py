"""The figures on a page: only PNG files inside the run folder."""

import base64
import shutil

import pytest
from support.report import ParsedPage

from pyrovae import Run
from pyrovae.pages.report import page
from pyrovae.pages.report.pictures import figures_by_name, png


def test_the_images_on_the_page_are_the_files_of_the_run(runs):
    sources = ParsedPage(page([Run(runs / "one")])).all("img", "src")
    files = [(runs / f"one/figures/{name}.png").read_bytes() for name in ("reconstructions", "samples")]
    assert [base64.b64decode(source.partition(",")[2]) for source in sources] == files


@pytest.mark.parametrize(
    "content",
    [b"", b"<script>", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(60), b"GIF89a" + bytes(60)],
)
def test_a_file_that_is_not_png_is_left_out(content, runs):
    (runs / "one/figures/samples.png").write_bytes(content)
    text = page([Run(runs / "one")])
    assert "figures/samples.png is left out: it is not a PNG file" in text
    assert len(ParsedPage(text).all("img", "src")) == 1


def test_a_figure_that_is_too_large_or_a_folder_is_left_out(runs):
    (runs / "one/figures/samples.png").unlink()
    (runs / "one/figures/samples.png").mkdir()
    faults = {name: picture.fault for name, (picture,) in figures_by_name([Run(runs / "one")], most=100)}
    assert faults == {
        "reconstructions": "figures/reconstructions.png is left out: it has more than 100 bytes",
        "samples": "figures/samples.png is left out: it is not a file",
    }


def test_a_png_file_without_width_is_refused(runs):
    path = runs / "one/figures/samples.png"
    content = path.read_bytes()
    path.write_bytes(content[:16] + bytes(4) + content[20:])
    with pytest.raises(ValueError, match="0 × "):
        png(path)


def test_a_link_to_somewhere_else_is_not_followed(runs, tmp_path):
    secret = tmp_path / "secret.png"
    shutil.copy(runs / "two/figures/samples.png", secret)
    (runs / "one/figures/samples.png").unlink()
    (runs / "one/figures/samples.png").symlink_to(secret)
    text = page([Run(runs / "one")])
    assert "figures/samples.png is left out: it is a link to somewhere else" in text
    assert base64.b64encode(secret.read_bytes()).decode() not in text
