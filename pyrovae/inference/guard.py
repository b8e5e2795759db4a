"""The check of every optimizer step: whether its loss and gradients are finite, and not too large."""

import torch
from torch import Tensor

from pyrovae.inference.private import foreach_mul_, foreach_norm


class Guard:
    """Clips gradients, and flags steps that must not move any weight. It reads no tensor, so the device never waits.

    Without `skip`, the first loss that is not finite sets `failed` to 1 for good. With `skip`, `failed` is 1 for a step
    whose loss or gradient norm is not finite, 0 for every other step, and `skipped` counts the former. `grad_clip` is
    the norm that gradients are scaled down to (0: they are not); with it, a norm that is not finite counts as a loss
    that is not finite.
    """

    def __init__(self, device: torch.device, grad_clip: float = 0.0, skip: bool = False) -> None:
        self.grad_clip, self.skip = grad_clip, skip
        self.flags = torch.zeros(2, dtype=torch.float32, device=device)  # float32, because a fused Adam reads `failed`
        self.failed, self.skipped = self.flags.unbind()

    def check(self, gradients: list[Tensor], loss: Tensor) -> None:
        """Clip `gradients` in place, and set the flags of this step."""
        finite = loss - loss  # 0, or NaN if the loss is not finite
        if self.skip or self.grad_clip:
            norm = torch.stack(foreach_norm(gradients)).norm()
            finite = finite + (norm - norm)
        if self.grad_clip:
            foreach_mul_(gradients, (self.grad_clip / norm).clamp(max=1))
        if self.skip:
            self.failed.copy_(finite).ne_(0)
            self.skipped += self.failed
        else:
            torch.maximum(self.failed, (finite != 0), out=self.failed)
