"""Imputes the missing values of a dataset by the model of a run."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.data.loading import read
from pyrovae.errors import InputError
from pyrovae.evaluation.imputation import impute
from pyrovae.inference import seeded
from pyrovae.runs.places import located
from pyrovae.runs.run import Run


@dataclass(frozen=True)
class Imputation:
    """A dataset whose missing values are filled in, in its own units, in the order of its files; on the CPU."""

    mean: Tensor  # (N, *shape)
    draws: Tensor  # (draws, N, *shape)
    missing: Tensor  # (N, *shape), true where a value was missing
    effective_samples: float  # the median over the rows with missing values
    given: Tensor | None = None  # (N, K), the values of the columns that the model is given


def imputed(run: Run, dataset: str | None = None, samples: int = 1000, draws: int = 0, seed: int = 0) -> Imputation:
    """Impute all rows, or images, of the run's own dataset, or of another one that has the same columns.

    Training rows come first, then those of a validation and of a test set, if the files have such. See
    `pyrovae.impute` for `samples` and `draws`. Raises `InputError` for data of another shape than the run's, for data
    without missing values, and for a run that was trained on whole data.
    """
    if not run.vae.missing:
        raise InputError("impute: expected a run that was trained on data with missing values, got one of whole data")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="dataset: .* are missing")  # which is why the caller is here
        data = whole(run, dataset, "impute")
    gaps = data.test.gaps()
    if not gaps.any():
        raise InputError(f"impute: expected missing values in {data.name}, got none")
    with seeded(seed):
        batches = [*impute(run.vae, data, data.test, samples, draws)]
    effective = torch.cat([batch.effective_samples for batch in batches])
    return Imputation(
        torch.cat([batch.mean for batch in batches]),
        torch.cat([batch.draws for batch in batches], 1),
        gaps,
        effective[gaps.flatten(1).any(1)].median().item(),
        data.test.given,
    )


def whole(run: Run, dataset: str | None, command: str) -> Data:
    """Return all rows of a dataset in the order of its files, as the run's protocol reads them, as a test set."""
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
