"""Read all of a dataset for the model of a run."""

import torch

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.data.loading import read
from pyrovae.errors import InputError
from pyrovae.runs.places import located
from pyrovae.runs.run import Run


def all_rows(run: Run, dataset: str | None, command: str) -> Data:
    """Return all rows of a dataset, or of the run's own, as a test set, in the order of its files.

    They are read by the run's protocol. Raises `InputError`, which names the command, for data of another shape, or
    with other classes or columns, than the run's.
    """
    config = located(run.trusted, run.path) if dataset is None else run.trusted.replace(dataset=dataset)
    raw = read(config, run.kinds, run.conditions, further=True)
    sets = [part.to_dense() for part in (raw.images, raw.validation_images, raw.test_images) if part is not None]
    labels = [part for part in (raw.labels, raw.validation_labels, raw.test_labels) if part is not None]
    given = [part for part in (raw.given, raw.validation_given, raw.test_given) if part is not None]
    together = Images(torch.cat(sets), torch.cat(labels) if labels else None, torch.cat(given) if given else None)
    if (shape := tuple(together.images.shape[1:])) != run.vae.shape:
        raise InputError(f"{command}: expected data of shape {run.vae.shape}, as the run's, got {shape}")
    if labels and raw.classes != run.classes:
        raise InputError(
            f"{command}: expected the classes {', '.join(run.classes)}, as the run's, got {', '.join(raw.classes)}"
        )
    images = run.pixels.fix(together, drawn_once=True, seed=config.seed)
    data = Data(
        config.dataset,
        images,
        images,
        None,
        raw.classes,
        run.pixels,
        columns=run.columns,
        kinds=run.kinds,
        conditions=run.conditions,
    )
    data.expect_columns(raw.columns, config.dataset)
    return data
