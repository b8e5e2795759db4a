"""Which figures fit which runs, and how `draw` draws them."""

import dataclasses

import numpy as np
import pytest
import torch
from support.drawn import drawable_gaps, drawable_run, drawable_table, pixels_of

from pyrovae import InputError, figures
from pyrovae.figures import FIGURES, draw

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


FITTING_PROGRAMS = {
    "hierarchical": FITTING["none"],
    "semi_supervised": FITTING["label"] | {"confusion"},
    "stacked": FITTING["label"] | {"confusion"},
    "mixture": FITTING["none"] - {"kl_per_dimension"} | {"clusters", "confusion"},
    "discrete": {"losses", "reconstructions", "samples", "progress"},
}


OF_TABLES = {"losses", "latent", "kl_per_dimension", "marginals", "pairs"}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("protocol", ["standardized", "counts"])
def test_all_figures_that_fit_a_table_are_drawn(protocol, missing, tmp_path):
    drawn = dict(draw(run := drawable_table(protocol, missing)))
    assert set(drawn) == OF_TABLES | ({"imputations"} if missing else set())
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    assert len(drawn["marginals"].axes) == 4
    assert [axes.get_title() for axes in drawn["marginals"].axes] == ["age", "size", "weight", r"\$\foo\$"]
    with pytest.raises(InputError, match="figure samples: expected images, got a table, whose rows are vectors"):
        dict(draw(run, ["samples"]))
    with pytest.raises(InputError, match="figure marginals: expected a table, whose rows are vectors, got images"):
        dict(draw(drawable_run(), ["marginals"]))


def test_images_with_missing_pixels_show_what_they_are_imputed_by():
    figure = figures.FIGURES["imputations"](*drawable_gaps())
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()][-2:] == ["mean", "spread"]


@pytest.mark.parametrize("program", FITTING_PROGRAMS)
def test_all_figures_that_fit_a_program_are_drawn(program, tmp_path):
    run = drawable_run(program=program, latent_dim=(4, 2) if program in ("hierarchical", "stacked") else 2)
    drawn = dict(draw(run))
    assert set(drawn) == FITTING_PROGRAMS[program]
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)])
@pytest.mark.parametrize("condition", FITTING)
def test_all_figures_that_fit_are_drawn_in_grey_and_in_colour(condition, shape, tmp_path):
    run = drawable_run(shape, condition=condition)
    drawn = dict(draw(run))
    assert set(drawn) == FITTING[condition]
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_figures_that_do_not_fit_say_why():
    run = drawable_run(latent_dim=3)
    for name, reason in {
        "manifold": "expected two latent dimensions, got 3",
        "conditions": "expected a model that is given labels",
        "completions": "expected a model that is given quadrants",
        "manifolds": "did you mean 'manifold'",
    }.items():
        with pytest.raises(InputError, match=reason):
            dict(draw(run, [name]))


def test_the_seed_fixes_the_figures_and_the_global_random_state_stays():
    run = drawable_run(condition="label")
    state = torch.random.get_rng_state()
    one, two = (dict(draw(run, ["samples", "conditions"])) for _ in range(2))
    for name, figure in one.items():
        assert np.array_equal(pixels_of(figure), pixels_of(two[name]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_figures_are_drawn_on_one_thread_unless_a_number_is_named(two_threads, monkeypatch):
    run, used = drawable_run(), []
    monkeypatch.setitem(FIGURES, "losses", lambda: used.append(torch.get_num_threads()))
    dict(draw(run, ["losses"]))
    run.config = run.config.replace(threads=3)
    dict(draw(run, ["losses"]))
    assert used == [1, 3]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["$x^$", "_hidden", "a" * 60])
def test_class_names_are_shown_as_plain_text(name, tmp_path):
    run = drawable_run(condition="label")
    run.data = dataclasses.replace(run.data, classes=(name, "b", "c"))
    for figure in dict(draw(run, ["latent", "conditions"])).values():
        figure.savefig(tmp_path / "figure.png")
    legend = figures.latent(run.vae, run.data).legends[0]
    assert len(legend.get_texts()) == 3


def test_every_figure_fits_some_condition_or_program():
    assert set.union(*FITTING.values(), *FITTING_PROGRAMS.values(), OF_TABLES, {"imputations"}) == set(FIGURES)
