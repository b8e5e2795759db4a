"""Sizes, counts and contents, on the arrays drawn."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import InputError, figures, fit
from pyrovae.evaluation.latents import code_means, kl_per_dimension
from pyrovae.figures import FIGURES, draw
from pyrovae.figures.curves import comparison
from pyrovae.figures.style import UNSEEN, cell_size, enlargement, mosaic

FITTING = {
    "none": {
        "losses",
        "reconstructions",
        "samples",
        "latent",
        "manifold",
        "progress",
        "interpolations",
        "traversals",
        "kl_per_dimension",
    },
    "label": {
        "losses",
        "reconstructions",
        "samples",
        "latent",
        "progress",
        "interpolations",
        "conditions",
        "traversals",
        "kl_per_dimension",
    },
    "quadrant1": {"losses", "reconstructions", "samples", "latent", "progress", "completions", "kl_per_dimension"},
}


def trained(shape=(1, 8, 8), **settings):
    """What a run offers to a figure."""
    vae, config = small_vae(shape=shape, **settings)
    data = small_data(shape=shape)
    metrics = list(fit(vae, data, config))
    pictures = {"original": torch.rand(3, *shape), "1": torch.rand(3, *shape)}
    return SimpleNamespace(vae=vae, data=data, config=config, metrics=metrics, progress=pictures)


def pixels_of(figure):
    """The one mosaic of a figure."""
    (image,) = figure.axes[0].get_images()
    return np.asarray(image.get_array())


def cell(figure, row, column, size=8):
    """One image of a mosaic, at its own size, without its frame: (H, W, 3)."""
    step, scale = cell_size((size, size))[0], enlargement(size, size)
    return pixels_of(figure)[row * step + 1 : (row + 1) * step - 1, column * step + 1 : (column + 1) * step - 1][
        ::scale, ::scale
    ]


def as_drawn(image):
    return image.expand(3, -1, -1).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)])
@pytest.mark.parametrize("condition", FITTING)
def test_all_the_figures_that_fit_are_drawn_in_grey_and_colour(condition, shape, tmp_path):
    run = trained(shape, condition=condition)
    drawn = dict(draw(run))
    assert set(drawn) == FITTING[condition]
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_figures_that_do_not_fit_say_why():
    run = trained(latent_dim=3)
    for name, reason in {
        "manifold": "expected two latent dimensions, got 3",
        "conditions": "expected a model that is given labels",
        "completions": "expected a model that is given quadrants",
        "manifolds": "did you mean 'manifold'",
    }.items():
        with pytest.raises(InputError, match=reason):
            dict(draw(run, [name]))


def test_figures_are_the_same_for_the_same_seed_and_leave_the_global_state():
    run = trained(condition="label")
    state = torch.random.get_rng_state()
    one, two = (dict(draw(run, ["samples", "conditions"])) for _ in range(2))
    for name, figure in one.items():
        assert np.array_equal(pixels_of(figure), pixels_of(two[name]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_mosaic_goes_row_by_row_with_white_between():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 30, 40) / 10
    drawn = mosaic(images, columns=3)
    assert drawn.shape == (2 * 32, 3 * 42, 3)
    assert drawn[1:31, 43:83].max() == drawn[1:31, 43:83].min() == np.float32(0.1)
    assert drawn[33:63, 85:125].max() == np.float32(0.5)
    assert (drawn[31:33] == 1).all()


def test_losses_draw_every_epoch_of_every_set():
    run = trained(epochs=3)
    figure = figures.losses(run.metrics)
    assert [axes.get_title() for axes in figure.axes] == ["KL", "Reconstruction", "Total (negative ELBO)"]
    for axes, key in zip(figure.axes, ("kl", "reconstruction", "loss")):
        for line, name in zip(axes.get_lines(), ("train", "test")):
            assert list(line.get_ydata()) == [record[name][key] for record in run.metrics]
            assert list(line.get_xdata()) == [1, 2, 3]
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["training set", "test set"]


def test_losses_of_an_autoencoder_say_that_there_is_no_kl():
    figure = figures.losses(trained(posterior="delta").metrics)
    assert "no KL term" in figure.axes[0].texts[0].get_text()


def test_reconstructions_stand_under_their_originals():
    run = trained()
    figure = figures.reconstructions(run.vae, run.data)
    x = run.data.batch(run.data.test, slice(0, 30)).x
    again = run.vae.reconstruct(x)
    for row, column, image in [(0, 0, x[0]), (1, 0, again[0]), (2, 3, x[13]), (5, 9, again[29])]:
        assert np.allclose(cell(figure, row, column), as_drawn(image))
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["original", "reconstruction"] * 3


def test_samples_are_eight_by_eight():
    run = trained()
    assert pixels_of(figures.samples(run.vae, run.data)).shape == (8 * cell_size((8, 8))[0],) * 2 + (3,)


def test_latent_shows_every_test_code_in_the_colour_of_its_label():
    run = trained()
    figure = figures.latent(run.vae, run.data)
    points = figure.axes[0].collections[0]
    assert np.allclose(points.get_offsets(), code_means(run.vae, run.data, run.data.test))
    shown = points.get_facecolors()[:, :3]
    assert len(np.unique(shown, axis=0)) == 3
    assert np.array_equal(shown[0], shown[3])  # labels go 0, 1, 2, 0, ...
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]


def test_latent_of_many_dimensions_says_that_it_shows_principal_components():
    run = trained(latent_dim=5)
    figure = figures.latent(run.vae, run.data)
    assert "first two principal components of 5 dimensions" in figure.get_suptitle()
    assert figure.axes[0].get_xlabel().startswith("principal component 1")
    centred = code_means(run.vae, run.data, run.data.test).double()
    centred = centred - centred.mean(0)
    spread = torch.linalg.svdvals(centred)[:2].numpy() / np.sqrt(len(centred))
    assert np.allclose(figure.axes[0].collections[0].get_offsets().std(0), spread, rtol=1e-4)


def test_the_manifold_has_minus_three_three_in_the_upper_left():
    run = trained()
    figure = figures.manifold(run.vae, run.data)
    corners = {(0, 0): (-3.0, 3.0), (0, 19): (3.0, 3.0), (19, 0): (-3.0, -3.0), (19, 19): (3.0, -3.0)}
    for place, code in corners.items():
        assert np.allclose(cell(figure, *place), as_drawn(run.vae.decode(torch.tensor([code]))[0]), atol=1e-6)
    assert pixels_of(figure).shape[0] == 20 * cell_size((8, 8))[0]


def test_progress_shows_the_recorded_epochs():
    run = trained()
    figure = figures.progress(run.progress)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["original", "epoch 1"]
    assert np.allclose(cell(figure, 1, 2), as_drawn(run.progress["1"][2]))


@pytest.mark.parametrize("condition", ["none", "label"])
def test_interpolations_start_and_end_at_test_images(condition):
    run = trained(condition=condition)
    figure = figures.interpolations(run.vae, run.data)
    x, labels = run.data.batch(run.data.test, slice(0, 40))
    last = 3 if condition == "label" else 1  # given labels, the next image of the same label
    assert np.allclose(cell(figure, 0, 0), as_drawn(x[0]))
    assert np.allclose(cell(figure, 0, 12), as_drawn(x[last]))
    y = run.vae.given(x, labels)
    assert np.allclose(cell(figure, 0, 1), as_drawn(run.vae.reconstruct(x, y)[0]), atol=1e-5)


def test_traversals_move_one_dimension_of_the_first_code_the_largest_kl_first():
    run = trained(latent_dim=3, epochs=4)
    figure = figures.traversals(run.vae, run.data)
    kl = kl_per_dimension(run.vae, run.data, run.data.test)
    order = kl.sort(descending=True).indices.tolist()
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == [f"z{d + 1}  KL {kl[d]:.2f}" for d in order]
    code = code_means(run.vae, run.data, run.data.test)[:1]
    for row, column, step in [(0, 0, -3.0), (1, 12, 3.0), (2, 6, 0.0)]:
        moved = code.clone()
        moved[0, order[row]] = step
        assert np.allclose(cell(figure, row, column), as_drawn(run.vae.decode(moved)[0]), atol=1e-5)


def test_kl_per_dimension_is_sorted_and_adds_up():
    run = trained(latent_dim=3, epochs=4)
    figure = figures.kl_per_dimension(run.vae, run.data)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == sorted(heights, reverse=True)
    assert sum(heights) == pytest.approx(kl_per_dimension(run.vae, run.data, run.data.test).sum().item(), rel=1e-5)


def test_conditions_have_a_row_per_label_and_a_style_per_column():
    run = trained(condition="label")
    figure = figures.conditions(run.vae, run.data)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
    torch.manual_seed(3)
    figure = figures.conditions(run.vae, run.data)
    torch.manual_seed(3)
    z = torch.randn(10, 2)
    for row, column in [(0, 0), (2, 9), (1, 4)]:
        image = run.vae.decode(z[column : column + 1], torch.tensor([row]))[0]
        assert np.allclose(cell(figure, row, column), as_drawn(image), atol=1e-5)


def test_completions_show_the_seen_the_drawn_and_the_truth():
    run = trained(condition="quadrant1")
    figure = figures.completions(run.vae, run.data)
    x = run.data.batch(run.data.test, slice(0, 10)).x
    seen = cell(figure, 4, 0)
    assert np.allclose(seen[4:, :4], as_drawn(x[4])[4:, :4])
    assert np.allclose(seen[:4], UNSEEN)
    for column in range(1, 7):
        assert np.allclose(cell(figure, 4, column)[4:, :4], as_drawn(x[4])[4:, :4])
    assert np.allclose(cell(figure, 4, 7), as_drawn(x[4]))


@pytest.mark.parametrize("name", ["$x^$", "_hidden", "a" * 60])
def test_class_names_stand_as_they_are(name, tmp_path):
    run = trained(condition="label")
    run.data = dataclasses.replace(run.data, classes=(name, "b", "c"))
    for figure in dict(draw(run, ["latent", "conditions"])).values():
        figure.savefig(tmp_path / "figure.png")
    legend = figures.latent(run.vae, run.data).legends[0]
    assert len(legend.get_texts()) == 3


def test_many_labels_leave_the_legend_out_and_say_so():
    run = trained()
    run.data = dataclasses.replace(run.data, classes=tuple(map(str, range(300))))
    figure = figures.latent(run.vae, run.data)
    assert not figure.legends
    assert "300 labels" in figure.get_suptitle()


def test_a_comparison_has_one_curve_per_run():
    metrics = trained().metrics
    figure = comparison({"one": metrics, "two": metrics})
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_every_figure_is_listed_once():
    assert set.union(*FITTING.values()) == set(FIGURES)
