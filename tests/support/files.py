"""Writes files of images, and compares folders."""

import pickle
import struct

import numpy as np
from PIL import Image

random = np.random.default_rng(0)


def noise(*shape):
    return random.integers(0, 256, shape, dtype=np.uint8)


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_pickle(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))


def save_image(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def bytes_of(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def write_like_mnist(folder, labels=range(10)):
    made = {}
    for part, n in (("train", 20), ("t10k", 10)):
        made[part] = noise(n, 28, 28), np.resize(np.array(labels, dtype=np.uint8), n)
        write_idx(folder / f"raw/{part}-images-idx3-ubyte", made[part][0])
        write_idx(folder / f"raw/{part}-labels-idx1-ubyte", made[part][1])
    return made
