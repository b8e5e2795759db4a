"""What the page says of a run, in plain text."""

from collections.abc import Iterator
from typing import Any

from matplotlib.colors import to_hex

from pyrovae.display import number
from pyrovae.figures.style import colours
from pyrovae.vae import VAE


def palette(classes: int) -> list[str]:
    return [to_hex(colour) for colour in colours(max(1, classes))]


def subtitle(run: Any) -> str:
    config, (channels, height, width) = run.config, run.data.shape
    images = (
        f"{height}×{width} {'grey' if channels == 1 else 'colour' if channels == 3 else f'{channels}-channel'} images"
    )
    kind = "variational autoencoder" if run.vae.has_kl else "plain autoencoder"
    given = {"none": "", "label": ", given the label"}.get(config.condition, ", given a part of the image")
    dimensions = f"{config.latent_dim} latent dimension{'s' if config.latent_dim > 1 else ''}"
    loss = (
        f"; {number(run.summary['best']['test']['loss'])} nats per test image, pixels {config.pixels}"
        if run.finished
        else ""
    )
    return f"A {kind} of {config.dataset}: {images}{given}, {dimensions}{loss}"


def _short(size: float) -> str:
    """One digit, as a multiple of a power of ten."""
    digit, power = f"{size:.0e}".split("e")
    return f"{digit}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" if size else "0"


def about(run: Any) -> Iterator[str]:
    """The page, for somebody who has not met such a model."""
    vae: VAE = run.vae
    yield "This model writes an image as a code, a few numbers z, and draws the image again from its code. " + (
        "The encoder names no single code but a region of likely ones: the ellipse. The decoder draws an image for"
        " every place. The two were trained to draw well from these regions, and to let all regions together fill one"
        " simple shape, the prior; so that between the codes of real images, too, the decoder draws what could be real."
        if vae.has_kl
        else "It is a plain autoencoder: nothing gives the codes a shape together, so that between those of real images"
        " the decoder may draw what could not be real."
    )
    yield {
        "none": "The dots are the codes of test images, which it was not trained on."
        + (" Their colours are labels that it was never told." if run.classes else ""),
        "label": "It is told the class of an image when it encodes and when it draws, so that a code holds the style"
        " and need not hold the class: keep the code, press another class, and see that class in the same style. The"
        " dots are the codes of test images, each given its class. A drawing is encoded as the class that is chosen.",
    }.get(
        run.config.condition,
        "It sees a part of the picture, the one without a veil, and draws the rest: the code says which of the possible"
        " rests. The dots are the codes of test images, which it was not trained on.",
    )
    yield (
        "Move over the plane to decode the place under the pointer; press to stay there, or use the arrow keys. Pick a"
        " picture, or draw one, to see it encoded and drawn again. All is computed on this page; nothing leaves it."
    )


def facts(run: Any, shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    config = run.config
    if run.finished:
        summary = run.summary
        test = summary["best"]["test"]
        parts = (
            f" = reconstruction {number(test['reconstruction'])} + KL {number(test['kl'])}" if run.vae.has_kl else ""
        )
        yield "Loss on the test set", f"{number(test['loss'])} nats per image ({summary['loss']}){parts}"
        if found := run.evaluation:
            yield (
                "Log-likelihood",
                f"{number(found['log_likelihood'])} nats per image, of {found['samples']:,} samples",
            )
        note = summary.get("note")
        yield "Pixels", config.pixels + (f": {note}" if isinstance(note, str) and note else "")
    else:
        yield "Pixels", config.pixels
    hidden = f" {'-'.join(map(str, config.hidden))}" if config.network in ("mlp", "gated") else ""
    yield "Network", f"{config.network}{hidden}"
    yield "Likelihood, prior, posterior", f"{config.likelihood}, {config.prior}, {config.posterior}"
    image, code = shown["decoder"]["changes"]["image"], shown["encoder"]["changes"]["mean"]
    yield (
        "Precision",
        f"weights rounded: pictures moved by {_short(image)}, codes by {_short(code)}, where that was tried",
    )
    yield "Made by", "pyrovae explore"
