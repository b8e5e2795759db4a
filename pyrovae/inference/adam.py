"""Two faster ways to take a step of torch's Adam: as one call of its fused kernel, and as operations of a graph."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pyrovae.inference.private import foreach_copy_, fused_adam_


class AdamState:
    """The step counts and moments of a plain `Adam(fused=True)`, as lists in the order of its parameters.

    The optimizer holds the same tensors, so that it saves them, and can itself take a step with them. They are never
    replaced, because a compiled step or a CUDA graph keeps using them: after `load_state_dict`, `update` copies the
    loaded values into them and puts them back into the optimizer.
    """

    def __init__(self, optim: torch.optim.Optimizer) -> None:
        self.optim = optim
        self.parameters: list[Tensor] = optim.param_groups[0]["params"]
        self.means: list[Tensor] = []
        self.squares: list[Tensor] = []
        self.counts: list[Tensor] = []  # one for each parameter, all views of `steps`
        self.steps = torch.zeros(0)  # (parameters,), so that one operation counts a step for all

    @staticmethod
    def supports(optim: torch.optim.Optimizer) -> bool:
        """Return whether the optimizer is a fused Adam of one group of parameters, without amsgrad."""
        plain = type(optim) is torch.optim.Adam and len(optim.param_groups) == 1
        return plain and bool(optim.defaults["fused"]) and not optim.defaults["amsgrad"]

    def update(self) -> bool:
        """Take over the optimizer's state if it was replaced. Return False before its first step, when it has none."""
        ends = [self.optim.state.get(parameter, {}) for parameter in (self.parameters[0], self.parameters[-1])]
        if not all(ends):
            return False
        if self.counts and self.counts[0] is ends[0]["step"]:
            return True
        states = [self.optim.state[parameter] for parameter in self.parameters]
        if not all(states):
            return False
        counts, means, squares = ([state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq"))
        if self.counts:
            for mine, loaded in zip((self.counts, self.means, self.squares), (counts, means, squares)):
                foreach_copy_(mine, loaded)
        else:
            self.steps = torch.stack(counts)
            self.counts, self.means, self.squares = [*self.steps.unbind()], means, squares
        for state, count, mean, square in zip(states, self.counts, self.means, self.squares):
            state |= {"step": count, "exp_avg": mean, "exp_avg_sq": square}
        return True


def fused_step(state: AdamState, gradients: list[Tensor], failed: Tensor) -> None:
    """Take Adam's step by a direct call of its fused kernel, or no step if `failed` is 1.

    `Adam.step` first looks up and checks all its tensors, which for a small network takes as long as the arithmetic.
    """
    group = state.optim.param_groups[0]
    beta1, beta2 = group["betas"]
    state.steps += 1 - failed
    fused_adam_(
        state.parameters,
        gradients,
        state.means,
        state.squares,
        [],
        state.counts,
        amsgrad=False,
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=group["maximize"],
        found_inf=failed,
    )


def can_be_written_out(optim: torch.optim.Optimizer) -> bool:
    """Return whether `written_out_step` can stand in for an optimizer: a fused Adam on a CPU, without weight decay."""
    group = optim.param_groups[0]
    plain = AdamState.supports(optim) and not (group["weight_decay"] or group["maximize"])
    return plain and not any(parameter.is_cuda for parameter in group["params"])


def written_out_step(state: AdamState, gradients: Sequence[Tensor | None], failed: Tensor, lr: Tensor) -> None:
    """Take Adam's step (Kingma & Ba 2015, algorithm 1) by operations that a graph can hold and fuse.

    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   θ ← θ − lr √c₂ / c₁ · m / (√v + ε √c₂),   cᵢ = 1 − βᵢᵗ

    If `failed` is 1, nothing moves. A parameter whose gradient is None stays as it is.
    """
    group = state.optim.param_groups[0]
    (beta1, beta2), eps = group["betas"], group["eps"]
    state.steps += 1 - failed
    t = state.steps[0].double()
    root = (1 - beta2**t).sqrt()
    # Stacked, so that they are computed once: otherwise Inductor computes their powers for every number of a tensor.
    scalars = torch.stack([lr * root / (1 - beta1**t), eps * root, failed.double()])
    rate, eps, stay = scalars.to(state.parameters[0].dtype).unbind()
    for parameter, gradient, *moments in zip(state.parameters, gradients, state.means, state.squares):
        if gradient is None:
            continue
        mean = moments[0] + (gradient - moments[0]) * (1 - beta1)
        square = moments[1] * beta2 + gradient * gradient * (1 - beta2)
        moved = parameter - rate * mean / (square.sqrt() + eps)
        for tensor, value in zip((parameter, *moments), (moved, mean, square)):
            tensor.copy_(torch.where(stay > 0, tensor, value))
