"""How things show themselves in a notebook: a small table, in which everything is escaped."""

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from pyrovae.config.settings import Config

SIDE = 64  # pixels of an image in a strip, about


def number(value: Any, digits: int = 2) -> str:
    """A number with so many digits after the point; a dash for what is none, as a file may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    try:
        return f"{value:,.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"
    except OverflowError:  # an integer larger than any float
        return "–"


def table(title: str, rows: Mapping[str, object], picture: str = "") -> str:
    """HTML: a title, a row for each name and its value, and an HTML `picture` below."""
    lines = "".join(
        f"<tr><th style='text-align: left'>{html.escape(name)}</th>"
        f"<td style='text-align: left'>{html.escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    body = f"<table>{lines}</table>" if rows else ""
    return f"<div><strong>{html.escape(title)}</strong>{body}{picture}</div>"


def strip(images: "Tensor", n: int = 10) -> str:
    """HTML: the first of images (N, C, H, W), uint8, side by side."""
    import torch
    from PIL import Image
    from torch.nn import functional as F

    every = max(1, max(images.shape[-2:]) // SIDE)
    first = images[:n, :, ::every, ::every].cpu()
    first = first[:, :3] if first.shape[1] in (3, 4) else first[:, :1].expand(-1, 3, -1, -1)
    row = torch.cat([*F.pad(first, (0, 1, 0, 0), value=255)], -1).permute(1, 2, 0)  # (H, n (W + 1), 3)
    held = io.BytesIO()
    Image.fromarray(row.numpy()).save(held, "png")
    source = f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
    style = "display: block; height: 48px; max-width: 100%; image-rendering: pixelated"
    return f"<img alt='the first images' src='{source}' style='{style}'>"


def parts_of(module: Any) -> str:
    """`MLP, 12,345 parameters`."""
    count = sum(parameter.numel() for parameter in module.parameters())
    name = type(module).__name__.removeprefix("Pyro")  # PyroModule makes classes of such names of what it holds
    return f"{name}, {count:,} parameter{'' if count == 1 else 's'}" if count else name


def in_one_line(config: "Config") -> str:
    """What a config trains: `digits, grey pixels; mlp 128,128, 2 latent dimensions; ...`."""
    given = {"none": "", "label": " given labels"}.get(config.condition, f" given {config.condition}")
    width = f" {','.join(map(str, config.hidden))}" if config.network in ("mlp", "gated") else ""
    dimensions = f"{config.latent_dim} latent dimension{'' if config.latent_dim == 1 else 's'}"
    return (
        f"{config.dataset}{given}, {config.pixels} pixels; {config.network}{width}, {dimensions};"
        f" {config.likelihood} likelihood, {config.prior} prior, {config.posterior} posterior, {config.objective}"
    )


def told_of(run: Any) -> dict[str, str]:
    """What a run folder is and came to. Raises nothing: of a file that is damaged it says so."""
    told = {"folder": str(run.path)}
    for name, read in {"model": _model, "epochs": _epochs, "test loss": _loss, "log p(x)": _estimate}.items():
        try:
            if value := read(run):
                told[name] = value
        except Exception as error:  # whatever somebody else's folder may hold
            told[name] = f"unreadable: {error}"
    return told


def in_brackets(told: Mapping[str, str], but: Iterable[str] = ()) -> str:
    return "; ".join(value if name == "model" else f"{name} {value}" for name, value in told.items() if name not in but)


def _model(run: Any) -> str:
    return in_one_line(run.config)


def _epochs(run: Any) -> str:
    done = len(run.metrics) if (run.path / "metrics.jsonl").exists() else 0
    return f"{done:,}" if run.finished else f"{done:,} of {run.config.epochs:,}, unfinished"


def _loss(run: Any) -> str:
    return f"{number(run.summary['best']['test']['loss'])} nats per image" if run.finished else ""


def _estimate(run: Any) -> str:
    return "" if (found := run.evaluation) is None else estimate(found)


def estimate(found: Mapping[str, Any]) -> str:
    """`−82.76 ± 0.22`: log p(x) and its standard error."""
    error = "" if found["standard_error"] is None else f" ± {number(found['standard_error'])}"
    return number(found["log_likelihood"]) + error
