"""The epochs of a training for TensorBoard, by torch's own writer (the extra `tensorboard`)."""

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pyrovae.errors import InputError
from pyrovae.figures import draw
from pyrovae.figures.style import as_png
from pyrovae.runs.weights import PROGRESS_EPOCHS
from pyrovae.training.fit import Fit
from pyrovae.training.record import Record

PICTURES = ("reconstructions", "samples")


def writer_class() -> Any:
    """SummaryWriter; `InputError` where the package is missing that it needs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorBoard loads TensorFlow, where it is, and that talks
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("tensorboard: expected the package, got none; pip install 'pyrovae[tensorboard]'") from None
    return SummaryWriter


def logged(records: Iterable[Record | None], fit: Fit, folder: Path) -> Iterator[Record | None]:
    """The records of `fit` as they are, each written to `folder` before it is handed on.

    Events of epochs that are trained again, after a kill, replace those of before. No random number is taken from the
    training. Raises `InputError` where the package `tensorboard` is missing.
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
    """By tag, as loss/train and loss/test, which TensorBoard shows side by side."""
    found = {f"{key}/{name}": part[key] for name, part in record.items() if isinstance(part, dict) for key in part}
    found |= {f"training/{name}": record[name] for name in ("active_units", "skipped") if name in record}
    if fit.kl_weight.weight is not None:
        found["training/beta"] = float(fit.kl_weight.weight)
    return found | {
        "training/lr": float(fit.svi.optim.param_groups[0]["lr"]),
        "training/images_per_second": len(fit.data.train) / max(record["seconds"], 1e-9),
    }


def _pixels(png: bytes) -> np.ndarray:
    """(height, width, 3), as uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
