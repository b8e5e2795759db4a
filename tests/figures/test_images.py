"""The contents of figures of images, on the arrays drawn."""

import numpy as np
import pytest
import torch
from support.drawn import as_drawn, cell, drawable_run, pixels_of

from pyrovae import figures
from pyrovae.evaluation.latents import code_means, kl_per_dimension
from pyrovae.figures.style import UNSEEN, cell_size


def test_each_reconstruction_is_below_its_original():
    run = drawable_run()
    figure = figures.reconstructions(run.vae, run.data)
    x = run.data.batch(run.data.test, slice(0, 30)).x
    again = run.vae.reconstruct(x)
    for row, column, image in [(0, 0, x[0]), (1, 0, again[0]), (2, 3, x[13]), (5, 9, again[29])]:
        assert np.allclose(cell(figure, row, column), as_drawn(image))
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["original", "reconstruction"] * 3


def test_samples_are_eight_by_eight():
    run = drawable_run()
    assert pixels_of(figures.samples(run.vae, run.data)).shape == (8 * cell_size((8, 8))[0],) * 2 + (3,)


def test_the_upper_left_of_the_manifold_is_the_code_minus_three_three():
    run = drawable_run()
    figure = figures.manifold(run.vae, run.data)
    corners = {(0, 0): (-3.0, 3.0), (0, 19): (3.0, 3.0), (19, 0): (-3.0, -3.0), (19, 19): (3.0, -3.0)}
    for place, code in corners.items():
        assert np.allclose(cell(figure, *place), as_drawn(run.vae.decode(torch.tensor([code]))[0]), atol=1e-6)
    assert pixels_of(figure).shape[0] == 20 * cell_size((8, 8))[0]


def test_progress_shows_the_recorded_epochs():
    run = drawable_run()
    figure = figures.progress(run.progress)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["original", "epoch 1"]
    assert np.allclose(cell(figure, 1, 2), as_drawn(run.progress["1"][2]))


@pytest.mark.parametrize("condition", ["none", "label"])
def test_interpolations_start_and_end_at_test_images(condition):
    run = drawable_run(condition=condition)
    figure = figures.interpolations(run.vae, run.data)
    x, labels = run.data.batch(run.data.test, slice(0, 40))
    last = 3 if condition == "label" else 1  # given labels, the next image of the same label
    assert np.allclose(cell(figure, 0, 0), as_drawn(x[0]))
    assert np.allclose(cell(figure, 0, 12), as_drawn(x[last]))
    y = run.vae.given(x, labels)
    assert np.allclose(cell(figure, 0, 1), as_drawn(run.vae.reconstruct(x, y)[0]), atol=1e-5)


def test_traversals_move_one_dimension_at_a_time_in_order_of_their_kl():
    run = drawable_run(latent_dim=3, epochs=4)
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


def test_conditions_have_a_row_per_label_and_a_style_per_column():
    run = drawable_run(condition="label")
    figure = figures.conditions(run.vae, run.data)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
    torch.manual_seed(3)
    figure = figures.conditions(run.vae, run.data)
    torch.manual_seed(3)
    z = torch.randn(10, 2)
    for row, column in [(0, 0), (2, 9), (1, 4)]:
        image = run.vae.decode(z[column : column + 1], torch.tensor([row]))[0]
        assert np.allclose(cell(figure, row, column), as_drawn(image), atol=1e-5)


def test_completions_keep_the_seen_pixels_and_end_with_the_whole_image():
    run = drawable_run(condition="quadrant1")
    figure = figures.completions(run.vae, run.data)
    x = run.data.batch(run.data.test, slice(0, 10)).x
    seen = cell(figure, 4, 0)
    assert np.allclose(seen[4:, :4], as_drawn(x[4])[4:, :4])
    assert np.allclose(seen[:4], UNSEEN)
    for column in range(1, 7):
        assert np.allclose(cell(figure, 4, column)[4:, :4], as_drawn(x[4])[4:, :4])
    assert np.allclose(cell(figure, 4, 7), as_drawn(x[4]))
