"""The sentences of the page."""

from types import SimpleNamespace

import pytest
from support.builders import small_data, small_vae
from torch import nn

from pyrovae.pages.explorer.words import ANY_PRIOR, explanation, facts, subtitle
from pyrovae.parts.contexts import Label, Quadrants
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS


def run_of(**settings):
    """An unfinished run of a small model, and as much of its page's contents as the sentences need."""
    vae, config = small_vae(**settings)
    run = SimpleNamespace(vae=vae, config=config, data=small_data(), finished=False)
    program = {"changes": {"image": 2.4e-5, "mean": 0.0}}
    condition = vae.context.reads if vae.context else "none"
    return run, SimpleNamespace(
        shape=(1, 8, 8), classes=["a", "b", "c"], condition=condition, decoder=program, encoder=program
    )


@pytest.mark.parametrize("part", [*PRIORS.values(), *POSTERIORS.values(), Label, Quadrants])
def test_every_part_says_in_one_sentence_how_codes_look_under_it(part):
    assert part.about.endswith(".")
    assert part.about.count(".") == 1


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_explanation_has_the_sentences_of_posterior_and_prior(posterior):
    run, contents = run_of(posterior=posterior)
    text = " ".join(explanation(run, contents))
    assert POSTERIORS[posterior].about in text
    assert (PRIORS["normal"].about in text) == (posterior != "delta")
    assert ("could not be real" in text) == (posterior == "delta")


@pytest.mark.parametrize(("condition", "context"), [("label", Label), ("quadrant1", Quadrants)])
def test_the_explanation_has_the_sentence_of_the_context(condition, context):
    run, contents = run_of(condition=condition)
    assert context.about in " ".join(explanation(run, contents))
    assert "conditioned on" in subtitle(run)


def test_a_users_own_prior_gets_a_general_sentence():
    run, contents = run_of()
    run.vae.prior = nn.Identity()
    assert ANY_PRIOR in " ".join(explanation(run, contents))


def test_only_pictures_of_one_channel_can_be_drawn():
    run, contents = run_of()
    assert "or draw a picture" in [*explanation(run, contents)][-1]
    contents.shape = (3, 8, 8)
    assert "draw" not in [*explanation(run, contents)][-1]


def test_the_facts_say_how_far_rounding_moved_images_and_codes():
    run, contents = run_of()
    assert "images by at most 2·10⁻⁵ and codes by at most 0" in dict(facts(run, contents))["Precision"]
