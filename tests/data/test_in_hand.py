"""Arrays in hand are trained on, scored and shown to a model as they are."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

from pyrovae import Config, Data, InputError, build, elbo_scores, fit, log_likelihoods
from pyrovae.data.images import Images
from pyrovae.evaluation.annealing import annealed_log_likelihoods
from pyrovae.inference import seeded

X = np.random.default_rng(0).random((60, 8, 8))
CONFIG = Config(epochs=1, hidden=(8,), device="cpu", threads=1)


@pytest.mark.parametrize(
    "data",
    [
        X,
        torch.from_numpy(X[:, None]).float(),
        TensorDataset(torch.from_numpy(X)),
        DataLoader(TensorDataset(torch.from_numpy(X)), 7),
    ],
    ids=["array", "tensor", "dataset", "loader"],
)
def test_a_fit_takes_data_in_hand(data):
    records = [*fit(build(CONFIG, (1, 8, 8)), data, CONFIG)]
    expected = [*fit(build(CONFIG, (1, 8, 8)), Data.of(X), CONFIG)]
    assert records[0]["test"] == expected[0]["test"]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.from_numpy(X))


def test_a_loader_is_read_as_it_picks_its_images():
    images = TensorDataset(torch.from_numpy(X))
    chosen = DataLoader(images, 7, sampler=SubsetRandomSampler(range(20)))
    assert len(Data.of(chosen, test=5).train) == 15
    assert len(Data.of(DataLoader(images, batch_sampler=[[0, 1, 2], [5, 6]]), test=1).train) == 4
    assert len(Data.of(DataLoader(Stream(), 7), test=10).train) == len(Data.of(Stream(), test=10).train) == 50
    with pytest.raises(InputError, match="expected a DataLoader with torch's own collate_fn"):
        Data.of(DataLoader(images, 7, collate_fn=lambda items: items))


def test_an_error_of_a_dataset_is_its_own():
    class Broken(TensorDataset):
        def __getitem__(self, i):
            raise TypeError("a fault of mine")

    with pytest.raises(TypeError, match="a fault of mine"):
        Data.of(Broken(torch.from_numpy(X)))


def test_a_fit_reads_them_by_its_settings():
    config = CONFIG.replace(pixels="threshold", validation=10, shape=(8, 8))
    training = fit(build(config, (1, 8, 8)), X.reshape(60, 64), config)
    assert (len(training.data.train), len(training.data.validation), len(training.data.test)) == (38, 10, 12)
    assert set(training.data.train.images.unique().tolist()) == {0, 255}


def test_scores_of_an_array_are_those_of_its_images():
    data = Data.of(X)
    vae = build(CONFIG, data.shape)
    images = Images(torch.from_numpy(np.rint(X[:9] * 255).astype(np.uint8))[:, None])
    with seeded(1):
        one = elbo_scores(vae, data, X[:9])
    with seeded(1):
        assert elbo_scores(vae, data, images) == one
    for estimate in (log_likelihoods, annealed_log_likelihoods):
        assert torch.cat([batch["log_likelihood"] for batch in estimate(vae, data, X[:9], 3)]).shape == (9,)
    with pytest.raises(InputError, match=r"images: expected some of shape \(1, 8, 8\), .*, got \(1, 8, 6\)"):
        elbo_scores(vae, data, X[:, :, :6])


def test_further_images_are_read_as_the_datasets():
    data = Data.of(X, np.arange(60) % 3, pixels="static", classes=("a", "b", "c"))
    images = data.images(X[:5], ["c", "a", "b", "a", "b"])
    assert set(images.images.unique().tolist()) == {0, 255}
    assert images.labels.tolist() == [2, 0, 1, 0, 1]
    assert torch.equal(images.images, data.images(X[:5]).images)  # drawn once
    assert data.images(images) is images


def test_a_model_returns_numpy_for_numpy():
    vae = build(CONFIG.replace(condition="label"), (1, 8, 8), 3)
    x, y, z = X[:4, None], np.array([0, 1, 2, 0]), np.zeros((4, 2))
    for result, shape in [
        (vae.reconstruct(x, y), (4, 1, 8, 8)),
        (vae.decode(z, y), (4, 1, 8, 8)),
        (vae.generate(y=y), (4, 1, 8, 8)),
    ]:
        assert isinstance(result, np.ndarray)
        assert result.shape == shape
    tensors = torch.from_numpy(x).float(), torch.from_numpy(y)
    assert np.array_equal(vae.reconstruct(x, y), vae.reconstruct(*tensors))
    assert torch.equal(vae.encode(x, y).mean, vae.encode(*tensors).mean)
    assert isinstance(vae.decode(torch.zeros(4, 2), tensors[1]), torch.Tensor)
    mixture = build(CONFIG.replace(program="mixture"), (1, 8, 8))
    assert mixture.classify(x).shape == (4, 10)
    with pytest.raises(InputError, match="x: expected images"):
        vae.reconstruct(np.array(["a"]), y)
