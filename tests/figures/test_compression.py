"""The figure of sizes by compressor."""

from pyrovae.figures.compression import OWN, compression


def test_bars_have_the_sizes_and_the_line_is_the_bound():
    figure = compression({"PNG": 39.8, "zlib": 32.2, OWN: 18.2}, 18.1, "10 images")
    (panel,) = figure.axes
    assert [bar.get_width() for bar in panel.patches] == [39.8, 32.2, 18.2]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["PNG", "zlib", OWN]
    (line,) = panel.lines
    assert [*line.get_xdata()] == [18.1, 18.1]
    assert {text.get_text() for text in panel.texts} == {"39.8", "32.2", "18.2", "−ELBO: 18.1"}
    low, high = panel.get_ylim()
    assert low > 2.31  # the last bar is whole
    assert high < -0.6
