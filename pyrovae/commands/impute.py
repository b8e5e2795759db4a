"""Imputes the missing values of a dataset by the model of a run."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.commands.all_rows import all_rows
from pyrovae.errors import InputError
from pyrovae.evaluation.imputation import impute
from pyrovae.inference import seeded
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
        data = all_rows(run, dataset, "impute")
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
