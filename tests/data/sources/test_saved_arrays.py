"""Arrays that torch or MATLAB saved."""

import numpy as np
import pytest
import scipy.io
import torch

from pyrovae import Config, InputError, load

X = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 8)).astype(np.uint8)
Y = np.arange(12) % 3


def all_images(data):
    return torch.cat([data.train.images, data.test.images]).sum((1, 2, 3)).sort().values.tolist()


EXPECTED = sorted(X.sum((1, 2, 3)).tolist())


@pytest.mark.parametrize(
    "saved",
    [
        torch.from_numpy(X),
        (torch.from_numpy(X), torch.from_numpy(Y)),
        [torch.from_numpy(X), torch.from_numpy(Y)],
        {"x_train": torch.from_numpy(X), "y_train": torch.from_numpy(Y)},
        {"data": torch.from_numpy(X).movedim(1, -1)},
    ],
)
def test_tensors_that_torch_saved_are_read(saved, tmp_path):
    torch.save(saved, tmp_path / "x.pt")
    data = load(Config(dataset=f"pt:{tmp_path / 'x.pt'}"))
    assert data.shape == (3, 8, 8)
    assert all_images(data) == EXPECTED
    assert data.classes == (("0", "1", "2") if len(saved) == 2 else ())


def test_sets_of_a_file_stay_apart(tmp_path):
    torch.save({"x_train": torch.from_numpy(X[:9]), "x_test": torch.from_numpy(X[9:])}, tmp_path / "x.pt")
    data = load(Config(dataset=f"pt:{tmp_path / 'x.pt'}"))
    assert (len(data.train), len(data.test)) == (9, 3)
    assert torch.equal(data.test.images, torch.from_numpy(X[9:]))


def test_rows_of_numbers_are_a_table(tmp_path):
    rows = torch.randn(20, 4, dtype=torch.bfloat16)
    torch.save(rows, tmp_path / "x.pt")
    data = load(Config(dataset=f"pt:{tmp_path / 'x.pt'}", pixels="real"))
    assert data.train.images.dtype == torch.float32
    assert torch.equal(torch.cat([data.train.images, data.test.images]).sort(0).values, rows.float().sort(0).values)


class Payload:
    """Would be called by a pickle that is read without care."""

    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (Payload(), "expected tensors that torch saved"),
        ({"images": 3}, "expected a tensor, a pair .images, labels. or a dict of tensors in .*, got dict"),
        ({"layer.weight": torch.ones(3)}, "expected an array 'images' in .*, got layer.weight"),
        ({"images": torch.from_numpy(X), "y_test": torch.from_numpy(Y)}, "expected labels for images alike"),
        (torch.randn(5, 7), "expected"),
    ],
)
def test_other_things_that_torch_saved_are_refused(saved, message, tmp_path):
    torch.save(saved, tmp_path / "x.pt")
    with pytest.raises(InputError, match=message):
        load(Config(dataset=f"pt:{tmp_path / 'x.pt'}"))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": X.transpose(0, 2, 3, 1), "labels": Y}, None),
        ({"X": X.transpose(2, 3, 1, 0), "y": Y[:, None]}, "X in .* are read as .H, W, ..., N."),
        ({"images": X, "labels": Y, "about": np.array([1])}, "about in .* are not read"),
    ],
)
def test_arrays_of_matlab_are_read(arrays, said, tmp_path, recwarn):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, arrays)
    if said:
        with pytest.warns(UserWarning, match=said):
            data = load(Config(dataset=f"mat:{path}"))
    else:
        data = load(Config(dataset=f"mat:{path}"))
    assert data.shape == (3, 8, 8)
    assert all_images(data) == EXPECTED
    assert len(data.classes) == 3


def test_broken_files_are_refused_and_bare_paths_get_a_hint(tmp_path):
    for kind in ("pt", "mat"):
        path = tmp_path / f"x.{kind}"
        path.write_bytes(b"no such file")
        with pytest.raises(InputError, match=r"dataset: expected .*, got"):
            load(Config(dataset=f"{kind}:{path}"))
        with pytest.raises(InputError, match=f"did you mean '{kind}:"):
            load(Config(dataset=str(path)))
        with pytest.raises(InputError, match="dataset: expected"):
            load(Config(dataset=f"{kind}:{tmp_path / 'none'}"))
    (tmp_path / "new.mat").write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(99)
    )
    with pytest.raises(InputError, match="saved with '-v7'"):
        load(Config(dataset=f"mat:{tmp_path / 'new.mat'}"))
