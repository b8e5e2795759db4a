"""The sentences of the page, in plain text.

The classes of priors, posteriors and contexts say in an attribute `about` how codes look under them. A user's own class
without that attribute gets a general sentence.
"""

from collections.abc import Iterator

from torch import nn

from pyrovae.config.settings import as_text
from pyrovae.display import number
from pyrovae.pages.explorer.contents import Contents
from pyrovae.runs.card import network_of
from pyrovae.runs.run import Run

ANY_POSTERIOR = "The encoder gives each image a distribution over codes: some are likely, others are not."
ANY_PRIOR = "The prior is the distribution of codes before an image is seen."
ANY_CONTEXT = "The model is given a context both when it encodes and when it decodes."

WITH_KL = (
    "The model was trained for two aims at once: to decode each image well from its region of codes, and to let all"
    " regions together fill the prior. So the codes between those of real images should also decode into images"
    " that could be real."
)
WITHOUT_KL = (
    "Nothing gives the codes of all images a common shape, so the codes between those of real images may decode"
    " into images that could not be real."
)
INFERRED = (
    "The model infers the class of an image where it is not known, and decodes a code together with a class, so a code"
    " can hold the style and need not hold the class."
)
CONDITIONED = {"none": "", "labels": ", conditioned on the label", "images": ", conditioned on a part of the image"}
DOTS = {  # what the dots show, by condition
    "none": "The dots are the codes of test images, which the model was not trained on.",
    "labels": (
        "Keep the code and choose another class to see that class in the same style. The dots are the codes of test"
        " images, which the model was not trained on, each encoded with its class. A picture that you draw is"
        " encoded with the class that is chosen."
    ),
    "images": (
        "The part that it does not see is tinted blue. The dots are the codes of test images, which the model was not"
        " trained on."
    ),
}
COLOURS = "Their colours show the labels, which the model was never given."
USE = (
    "Move the pointer over the plane to decode the code under it. Press to keep that code, or move it with the arrow"
    " keys. Choose a test image{or_draw} to see its code and its reconstruction. Everything is computed on this page;"
    " nothing is sent anywhere."
)


def subtitle(run: Run) -> str:
    """Say in one line what kind of model this is, of which images, and how good it is."""
    config, (channels, height, width) = run.config, run.data.shape
    kind = "variational autoencoder" if run.vae.has_kl else "plain autoencoder"
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    condition = CONDITIONED["none" if run.vae.context is None else run.vae.context.reads]
    dimensions = f"{as_text(config.latent_dim)} latent dimension{'' if config.latent_dim == 1 else 's'}"
    line = f"A {kind} of {config.dataset}: {height}×{width} {colour} images{condition}, {dimensions}"
    if not run.finished:
        return line
    loss = f"{number(run.summary['best']['test']['loss'])} {run.summary['unit']}"
    return f"{line}; test loss {loss} ({config.pixels} pixels)"


def explanation(run: Run, contents: Contents) -> Iterator[str]:
    """Yield paragraphs for a reader who has not met such a model before."""
    vae = run.vae
    kind = "A variational autoencoder" if vae.has_kl else "An autoencoder"
    posterior, prior = (
        _about(getattr(vae, name, None), otherwise)
        for name, otherwise in (("posterior", ANY_POSTERIOR), ("prior", ANY_PRIOR))
    )
    yield (
        f"{kind} encodes an image as a code, a few numbers z, and decodes a code into an image."
        f" {posterior}"
        f" {f'{prior} {WITH_KL}' if vae.has_kl else WITHOUT_KL}"
    )
    if vae.context is None and vae.labels is not None:
        yield f"{INFERRED} {DOTS[contents.condition]}"
    elif vae.context is None:
        yield " ".join([DOTS["none"], *([COLOURS] if contents.classes else [])])
    else:
        yield f"{_about(vae.context, ANY_CONTEXT)} {DOTS[contents.condition]}"
    yield USE.format(or_draw=", or draw a picture," if contents.shape[0] == 1 else "")


def _about(part: nn.Module | None, otherwise: str) -> str:
    """Return what the class of a part says about itself, or `otherwise` for a user's own class without `about`."""
    about = getattr(part, "about", None)
    return about if isinstance(about, str) else otherwise


def facts(run: Run, contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield names and values for the list at the foot of the page."""
    config, vae = run.config, run.vae
    if run.finished:
        summary, test = run.summary, run.summary["best"]["test"]
        terms = f" = reconstruction {number(test['reconstruction'])} + KL {number(test['kl'])}" if vae.has_kl else ""
        yield "Loss on the test set", f"{number(test['loss'])} {summary['unit']} ({summary['loss']}){terms}"
        if evaluation := run.evaluation:
            estimate, samples = number(evaluation["log_likelihood"]), f"{evaluation['samples']:,}"
            yield "Log-likelihood", f"{estimate} nats per image, estimated with {samples} samples"
        note = summary.get("note")
        yield "Pixels", config.pixels + (f": {note}" if isinstance(note, str) and note else "")
    else:
        yield "Pixels", config.pixels
    yield "Network", network_of(config)
    yield "Likelihood, prior, posterior", f"{config.likelihood}, {config.prior}, {config.posterior}"
    image, code = contents.decoder["changes"]["image"], contents.encoder["changes"]["mean"]
    yield (
        "Precision",
        f"the page's weights are rounded, which changed images by at most {_one_digit(image)} and codes by at most"
        f" {_one_digit(code)} where it was tried",
    )
    yield "Made by", "pyrovae explore"


def _one_digit(size: float) -> str:
    """Write a number as one digit times a power of ten."""
    digit, power = f"{size:.0e}".split("e")
    return f"{digit}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" if size else "0"
