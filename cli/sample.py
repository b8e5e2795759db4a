"""pyrovae sample: images from a trained model."""

from pathlib import Path

import click

from pyrovae.config import InputError

KINDS = (".png", ".npz")


@click.command("sample")
@click.argument("run", type=Path)
@click.option("-n", "n", type=click.IntRange(1), default=64, show_default=True, help="how many images")
@click.option("--label", help="of this class, by name or number, if the model is given labels  [all in turn]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="of the random numbers")
@click.option("--draw", is_flag=True, help="draw the pixels too, instead of showing their mean")
@click.option("--out", type=Path, help="FILE.png, a picture, or FILE.npz, an array `images`  [RUN/figures/sample.png]")
@click.option("--force", is_flag=True, help="replace the file that --out names")
def command(run: Path, n: int, label: str | None, seed: int, draw: bool, out: Path | None, force: bool) -> None:
    """Draw N images from the model that RUN holds."""
    if out is not None and out.suffix not in KINDS:
        raise InputError(f"out: expected a file that ends in {' or '.join(KINDS)}, got {str(out)!r}")
    if out is not None and out.exists() and not force:
        raise InputError(f"out: {out} already exists; expected --force or another name")
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(f"out: expected a folder at {out.absolute().parent}, got nothing")
    import torch

    from pyrovae.runs import Run

    opened = Run(run)
    vae = opened.vae
    y = _context(opened, n, label)
    torch.manual_seed(seed)
    images = opened.pixels.to_unit(vae.generate(n, y, mean=not draw))
    out = out or run / "figures" / "sample.png"
    _write(images, out, y if label is None and vae.context is not None and vae.context.reads == "labels" else None)
    click.echo(out)


def _context(run, n: int, label: str | None):
    """Y for n images: the label that was asked for, all labels in turn, or test images of which quadrants are seen."""
    import torch

    condition = run.config.condition
    if label is not None and condition != "label":
        raise InputError(f"label: expected a model that is given labels, got one with condition {condition!r}")
    if condition == "none":
        return None
    if condition == "label":
        return torch.arange(n) % len(run.classes) if label is None else torch.full((n,), _index(label, run.classes))
    rows = torch.arange(n) % len(run.data.test)
    return run.data.batch(run.data.test, rows).x


def _index(label: str, classes: tuple[str, ...]) -> int:
    if label in classes:
        return classes.index(label)
    if label.isdecimal() and int(label) < len(classes):
        return int(label)
    raise InputError(f"label: expected one of {', '.join(classes)}, or 0 to {len(classes) - 1}, got {label!r}")


def _write(images, out: Path, labels) -> None:
    if out.suffix == ".npz":
        import numpy as np

        arrays = {"images": (images * 255).round().byte().cpu().numpy()}
        np.savez_compressed(out, **arrays, **({} if labels is None else {"labels": labels.numpy()}))
        return
    import torch

    from pyrovae.figures.style import image_figure

    columns = max(1, round(len(images) ** 0.5))
    blank = images.new_ones((-len(images)) % columns, *images.shape[1:])
    out.parent.mkdir(exist_ok=True)
    image_figure(torch.cat([images, blank]), columns, "").savefig(out)
