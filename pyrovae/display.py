"""Write objects as small HTML tables for a notebook. All text is escaped."""

import base64
import html
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 64  # about the number of pixels to which an image in a strip is thinned out


def number(value: object, digits: int = 2) -> str:
    """Write a number with this many decimals, and anything else, which a file may contain, as a dash."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    try:
        return f"{value:,.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"
    except OverflowError:  # an integer larger than any float
        return "–"


def table(title: str, rows: Mapping[str, object], picture: str = "") -> str:
    """Return HTML: a title, one row per name and value, and below them the HTML `picture`."""
    lines = "".join(
        f"<tr><th style='text-align: left'>{html.escape(name)}</th>"
        f"<td style='text-align: left'>{html.escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    body = f"<table>{lines}</table>" if rows else ""
    return f"<div><strong>{html.escape(title)}</strong>{body}{picture}</div>"


def strip(images: "Tensor", n: int = 10) -> str:
    """Return HTML that shows the first `n` of images (N, C, H, W) side by side, missing pixels black."""
    import torch
    from PIL import Image
    from torch.nn import functional as F

    if images.dim() != 4:  # vectors have no picture
        return ""
    every = max(1, max(images.shape[-2:]) // SIDE)
    first = images[:n, :, ::every, ::every].cpu().clamp(min=0).byte()
    first = first[:, :3] if first.shape[1] in (3, 4) else first[:, :1].expand(-1, 3, -1, -1)
    row = torch.cat([*F.pad(first, (0, 1, 0, 0), value=255)], -1).permute(1, 2, 0)  # (H, n (W + 1), 3)
    content = io.BytesIO()
    Image.fromarray(row.numpy()).save(content, "png")
    source = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    style = "display: block; height: 48px; max-width: 100%; image-rendering: pixelated"
    return f"<img alt='the first images' src='{source}' style='{style}'>"


def parts_of(module: Any) -> str:
    """Return the class of a module and its number of parameters: `MLP, 12,345 parameters`."""
    count = sum(parameter.numel() for parameter in module.parameters())
    name = type(module).__name__.removeprefix("Pyro")  # PyroModule derives such classes from those of its submodules
    return f"{name}, {count:,} parameter{'' if count == 1 else 's'}" if count else name
