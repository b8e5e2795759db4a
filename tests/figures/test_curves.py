"""The curves in the figures of scores over the epochs."""

from support.drawn import drawable_run

from pyrovae import figures
from pyrovae.figures.curves import comparison


def test_losses_draw_every_epoch_of_every_set():
    run = drawable_run(epochs=3)
    figure = figures.losses(run.metrics)
    assert [axes.get_title() for axes in figure.axes] == ["KL", "Reconstruction", "Total (negative ELBO)"]
    for axes, key in zip(figure.axes, ("kl", "reconstruction", "loss")):
        for line, name in zip(axes.get_lines(), ("train", "test")):
            assert list(line.get_ydata()) == [record[name][key] for record in run.metrics]
            assert list(line.get_xdata()) == [1, 2, 3]
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["training set", "test set"]


def test_losses_of_an_autoencoder_say_that_there_is_no_kl():
    figure = figures.losses(drawable_run(posterior="delta").metrics)
    assert "no KL term" in figure.axes[0].texts[0].get_text()


def test_a_comparison_has_one_curve_per_run():
    metrics = drawable_run().metrics
    figure = comparison({"one": metrics, "two": metrics})
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
