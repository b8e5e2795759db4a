"""The points and bars in figures of the latent space."""

import dataclasses

import numpy as np
import pytest
import torch
from support.drawn import drawable_run

from pyrovae import figures
from pyrovae.evaluation.latents import code_means, kl_per_dimension


def test_latent_shows_every_test_code_in_the_colour_of_its_label():
    run = drawable_run()
    figure = figures.latent(run.vae, run.data)
    points = figure.axes[0].collections[0]
    assert np.allclose(points.get_offsets(), code_means(run.vae, run.data, run.data.test))
    shown = points.get_facecolors()[:, :3]
    assert len(np.unique(shown, axis=0)) == 3
    assert np.array_equal(shown[0], shown[3])  # labels go 0, 1, 2, 0, ...
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]


def test_latent_of_many_dimensions_says_that_it_shows_principal_components():
    run = drawable_run(latent_dim=5)
    figure = figures.latent(run.vae, run.data)
    assert "first two principal components of 5 dimensions" in figure.get_suptitle()
    assert figure.axes[0].get_xlabel().startswith("principal component 1")
    centred = code_means(run.vae, run.data, run.data.test).double()
    centred = centred - centred.mean(0)
    spread = torch.linalg.svdvals(centred)[:2].numpy() / np.sqrt(len(centred))
    assert np.allclose(figure.axes[0].collections[0].get_offsets().std(0), spread, rtol=1e-4)


def test_the_kl_of_one_of_several_codes_names_it():
    run = drawable_run(program="hierarchical", latent_dim=(3, 2))
    kl = kl_per_dimension(run.vae, run.data, run.data.test).sum()
    title = figures.kl_per_dimension(run.vae, run.data).get_suptitle()
    assert title == f"KL of each dimension of z2: {kl:.1f} nats in all"


def test_kl_per_dimension_is_sorted_and_adds_up():
    run = drawable_run(latent_dim=3, epochs=4)
    figure = figures.kl_per_dimension(run.vae, run.data)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == sorted(heights, reverse=True)
    assert sum(heights) == pytest.approx(kl_per_dimension(run.vae, run.data, run.data.test).sum().item(), rel=1e-5)


def test_with_many_labels_there_is_no_legend_and_the_title_says_how_many():
    run = drawable_run()
    run.data = dataclasses.replace(run.data, classes=tuple(map(str, range(300))))
    figure = figures.latent(run.vae, run.data)
    assert not figure.legends
    assert "300 labels" in figure.get_suptitle()
