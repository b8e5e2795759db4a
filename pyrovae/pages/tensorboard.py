"""Writes the epochs of a training for TensorBoard, with torch's own writer (the extra `tensorboard`)."""

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pyrovae.errors import InputError
from pyrovae.figures import draw
from pyrovae.figures.style import as_png
from pyrovae.runs.weights import PROGRESS_EPOCHS
from pyrovae.training.fit import Fit
from pyrovae.training.record import Record

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

PICTURES = ("reconstructions", "samples")


def writer_class() -> "type[SummaryWriter]":
    """Import torch's SummaryWriter. Raises `InputError` if the package `tensorboard` is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # silences TensorFlow, which TensorBoard loads if it can
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("tensorboard: expected the package, got none; pip install 'pyrovae[tensorboard]'") from None
    return SummaryWriter


def logged(records: Iterable[Record | None], fit: Fit, folder: Path) -> Iterator[Record | None]:
    """Pass on the records of `fit`, each after it is written to `folder`.

    When epochs are trained again after a kill, their events replace the earlier ones. Drawing takes no random number
    from the training. Raises `InputError` if the package `tensorboard` is not installed.
    """
    with writer_class()(str(folder), purge_step=fit.epoch + 1) as writer:
        for record in records:
            if record is not None:
                for tag, value in scalars(record, fit).items():
                    writer.add_scalar(tag, value, record["epoch"])
                if record["epoch"] in PROGRESS_EPOCHS or fit.done:
                    for name, figure in draw(fit, PICTURES):
                        writer.add_image(name, _pixels(as_png(figure)), record["epoch"], dataformats="HWC")
                writer.flush()
            yield record


def scalars(record: Record, fit: Fit) -> dict[str, float]:
    """Return the numbers of an epoch by tag; TensorBoard shows tags like loss/train and loss/test side by side."""
    values: dict[str, float] = {}
    for name, part in record.items():
        if isinstance(part, dict):
            values |= {f"{key}/{name}": value for key, value in part.items()}
    if "active_units" in record:
        values["training/active_units"] = record["active_units"]
    if "skipped" in record:
        values["training/skipped"] = record["skipped"]
    if fit.kl_weight.weight is not None:
        values["training/beta"] = float(fit.kl_weight.weight)
    return values | {
        "training/lr": float(fit.svi.optim.param_groups[0]["lr"]),
        "training/images_per_second": len(fit.data.train) / max(record["seconds"], 1e-9),
    }


def _pixels(png: bytes) -> np.ndarray:
    """Decode a PNG file to pixels (height, width, 3), uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
