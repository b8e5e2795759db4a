"""A VAE in scikit-learn's manner: an estimator with `fit`, `transform` and `score` for arrays of rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.errors import InputError, at_least
from pyrovae.evaluation.importance import log_likelihoods
from pyrovae.inference import seeded
from pyrovae.inference.arrays import BATCH
from pyrovae.inference.effects import mean_of
from pyrovae.parts.registry import parameters_of
from pyrovae.programs.build import build_for
from pyrovae.training.fit import fit

TESTED = 100  # rows that each epoch is tested on, at most: training is all that an estimator needs


class VariationalAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fits a VAE to rows of numbers X (n, features), and maps rows to codes and back.

    The parameters are settings of `Config`; `settings` has further ones, by name. By default columns are standardized
    and scored by Gaussians with means and scales of their own. NaN is a missing value, if there was one in `fit`.
    `random_state` seeds weights and draws. After `fit`, `program_` is the trained program, `data_` the dataset that it
    was trained on, and `losses_` the negative ELBO of the training rows in each epoch, in nats per row. Raises
    `InputError`, a `ValueError`, for rows and settings that do not fit each other.

    >>> X = np.random.default_rng(0).normal(size=(200, 4)) @ np.ones((4, 6))
    >>> vae = VariationalAutoencoder(epochs=2, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.inverse_transform(np.zeros((3, 2))).shape, vae.sample(5).shape
    ((200, 2), (3, 6), (5, 6))
    >>> bool(vae.score(X) == vae.score_samples(X).mean())
    True
    """

    def __init__(
        self,
        latent_dim: int = 2,
        *,
        hidden: tuple[int, ...] = (128, 128),
        network: str = "mlp",
        likelihood: str = "gaussian",
        scale: float | str = "pixel",
        pixels: str = "standardized",
        prior: str = "normal",
        posterior: str = "diagonal",
        objective: str = "elbo",
        epochs: int = 100,
        batch_size: int = 128,
        lr: float = 1e-3,
        samples: int = 100,
        random_state: object = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.latent_dim, self.hidden, self.network = latent_dim, hidden, network
        self.likelihood, self.scale, self.pixels = likelihood, scale, pixels
        self.prior, self.posterior, self.objective = prior, posterior, objective
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        self.samples, self.random_state, self.settings = samples, random_state, settings

    def fit(self, X: object, y: None = None) -> "VariationalAutoencoder":
        """Train on rows X (n, features), with NaN where a value is missing; y is ignored."""
        rows: np.ndarray = validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        named = ("latent_dim", "hidden", "network", "likelihood", "scale", "pixels", "prior", "posterior", "objective")
        chosen = {name: getattr(self, name) for name in (*named, "epochs", "batch_size", "lr")}
        seed = int(check_random_state(self.random_state).randint(2**31))
        config = Config(**chosen | {"seed": seed} | dict(self.settings or {}))
        if config.condition != "none":
            raise InputError(
                f"condition: expected none, as an estimator is given rows alone, got {config.condition!r}; pyrovae.fit"
                " takes conditions"
            )
        self.data_ = Data.of(rows, test=rows[:TESTED], pixels=config.pixels, name="X")
        with seeded(seed):
            program = build_for(config, self.data_)
            defaults = {name: parameter.default for name, parameter in parameters_of(type(self)).items()}
            program.unread = {  # a default of the estimator's own, such as that of `scale`, nobody has chosen
                name: message for name, message in program.unread.items() if chosen.get(name) != defaults.get(name)
            }
            self.losses_ = np.array([epoch["train"]["loss"] for epoch in fit(program, self.data_, config)])
        self.program_ = program.eval()
        self._n_features_out = int(self.program_.encode(self._batches(rows[:1])[0]).event_shape[0])
        return self

    def transform(self, X: object) -> np.ndarray:
        """Return the mean of the code of each row, (n, latent_dim)."""
        X = self._rows(X)
        with torch.no_grad(), seeded(0):  # means without a closed form are averages of draws
            codes = [mean_of(self.program_.encode(x)) for x in self._batches(X)]
        return self._as(X, torch.cat(codes))

    def inverse_transform(self, X: object) -> np.ndarray:
        """Return the mean of p(x | z) for each code z in X (n, latent_dim), in the units of the columns."""
        check_is_fitted(self)
        codes = np.asarray(X)
        at_least(1, codes=len(codes))
        rows = self.program_.decode(torch.from_numpy(codes))
        return self._as(codes, self.data_.pixels.to_own_units(rows))

    def sample(self, n_samples: int = 1) -> np.ndarray:
        """Draw rows from the model, (n_samples, features), in the units of the columns."""
        check_is_fitted(self)
        with seeded(int(check_random_state(self.random_state).randint(2**31))):
            rows = self.program_.generate(n_samples, mean=False)
        return self.data_.pixels.to_own_units(rows).cpu().numpy().astype(np.float64)

    def score_samples(self, X: object) -> np.ndarray:
        """Return log p(x) of each row in nats, of a density in the units of the columns, by importance sampling."""
        images = self.data_.images(self._rows(X))
        with seeded(0):
            batches = [*log_likelihoods(self.program_, self.data_, images, samples=self.samples)]
        log_p = torch.cat([batch["log_likelihood"] for batch in batches]).double().cpu().numpy()
        std = np.broadcast_to(self.data_.pixels.std, self.n_features_in_)
        scale = np.where(images.images.to_dense().isnan().numpy(), 0.0, np.log(std)).sum(
            1
        )  # what is missing has no density
        return np.asarray(log_p - scale)

    def score(self, X: object, y: None = None) -> float:
        """Return the mean of `score_samples`."""
        return float(self.score_samples(X).mean())

    def _rows(self, X: object) -> np.ndarray:
        check_is_fitted(self)
        rows: np.ndarray = validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan", reset=False
        )
        return rows

    def _batches(self, X: np.ndarray) -> list[Tensor]:
        """Return the rows as the program reads them, in batches."""
        rows = self.data_.images(X).images.to_dense()
        return [self.data_.read(part).x.to(self.program_.device) for part in rows.split(BATCH)]

    def _as(self, like: np.ndarray, values: Tensor) -> np.ndarray:
        return values.cpu().numpy().astype(like.dtype if like.dtype.kind == "f" else np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
