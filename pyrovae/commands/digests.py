"""Short texts that differ if data or weights differ, by which the processes of a training compare what they have."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.data.sparse import SparseRows

MOST = 2**26  # bytes of a tensor that are read, in a fraction of a second; of larger ones every so many rows are


def digest(parts: Mapping[str, object]) -> str:
    """Return the start of the SHA-256 of tensors, or of what their texts say."""
    result = hashlib.sha256()
    for name, part in parts.items():
        if isinstance(part, Tensor):
            result.update(f"{name} {part.dtype} {tuple(part.shape)}\n".encode())
            result.update(_sample(part).numpy().data)
        else:
            result.update(f"{name} {part}\n".encode())
    return result.hexdigest()[:16]


def fingerprint(data: Data) -> dict[str, str]:
    """Return what the processes of a training must agree on about its data, each by its name."""
    sets = {"train": data.train, "test": data.test, "validation": data.validation}
    texts = {"shape": "×".join(map(str, data.shape)), "classes": ", ".join(data.classes)[:200]}
    return texts | {f"data ({name})": _described(images) for name, images in sets.items() if images is not None}


def _described(images: Images) -> str:
    stored = images.images
    parts = stored.tensors() if isinstance(stored, SparseRows) else {"images": stored}
    beside = {"labels": images.labels, "conditions": images.given}
    parts = parts | {name: part for name, part in beside.items() if part is not None}
    return f"{len(images):,} images with digest {digest(parts)}"


def _sample(tensor: Tensor) -> Tensor:
    flat, size = tensor.detach(), tensor.numel() * tensor.element_size()
    if size > MOST and tensor.dim():
        flat = flat[:: -(-size // MOST)]
    return flat.reshape(-1).cpu().contiguous().view(torch.uint8)
