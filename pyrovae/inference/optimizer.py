"""What an optimizer does with gradients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Update:
    """A step of a torch optimizer, given the loss and the gradients of its `parameters`.

    At a loss that is not finite `failed` becomes 1, and from then on nothing moves. With `skip` it is of the last step
    alone, which is left out if its loss or the norm of its gradients is not finite, and `skipped` counts such steps.
    `grad_clip` is the norm that gradients are scaled down to (0: none).

    A plain Adam(fused=True) is called past what its Python looks up and checks at each step, which for a small network
    takes as long as the arithmetic. On a CPU it can be `written_out`, so that a compiled step holds it, too. Its state
    stays where it keeps it.
    """

    def __init__(self, optim: torch.optim.Optimizer, grad_clip: float = 0.0, skip: bool = False) -> None:
        self.optim, self.grad_clip, self.skip = optim, grad_clip, skip
        self.parameters = [parameter for group in optim.param_groups for parameter in group["params"]]
        plain = type(optim) is torch.optim.Adam and len(optim.param_groups) == 1
        self._fusible = plain and optim.defaults["fused"] and not optim.defaults["amsgrad"]
        self._state: dict[str, list[Tensor]] = {}
        self._steps = torch.zeros(0)
        self._flags = torch.zeros(2, dtype=torch.float32, device=self.parameters[0].device)  # which fused steps take
        self.failed, self.skipped = self._flags.unbind()
        self._lr = torch.zeros((), dtype=torch.float64)

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor | None], loss: Tensor) -> None:
        given = [gradient for gradient in gradients if gradient is not None]
        self._look(given, loss)
        if self._fusible and self._holds_state() and len(given) == len(gradients):
            self._fused(given, self.optim.param_groups[0])
            return
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = gradient
        if self.optim.defaults.get("fused"):
            self.optim.found_inf = self.failed  # type: ignore[attr-defined]  # as torch's own scaler of gradients tells it
            self.optim.step()
        elif not self.failed:
            self.optim.step()
        self.optim.zero_grad()

    def _look(self, given: list[Tensor], loss: Tensor) -> None:
        """Clip, and see whether all is finite: no tensor is read, as that would make a device wait."""
        finite = loss - loss  # 0, or else NaN
        if self.skip or self.grad_clip:
            norm = torch.stack(torch._foreach_norm(given)).norm()
            finite = finite + (norm - norm)
        if self.grad_clip:
            torch._foreach_mul_(given, (self.grad_clip / norm).clamp(max=1))
        if self.skip:
            self.failed.copy_(finite).ne_(0)
            self.skipped += self.failed
        else:
            torch.maximum(self.failed, (finite != 0), out=self.failed)

    def _holds_state(self) -> bool:
        """Whether the optimizer has state: not before its first step. What it loaded is copied to where it was held."""
        states = [self.optim.state.get(parameter, {}) for parameter in (self.parameters[0], self.parameters[-1])]
        if not all(states):
            return False
        if not self._state or self._state["step"][0] is not states[0]["step"]:
            every = [self.optim.state[parameter] for parameter in self.parameters]
            if not all(every):
                return False
            given = {name: [state[name] for state in every] for name in ("step", "exp_avg", "exp_avg_sq")}
            if self._state:
                for name, tensors in given.items():
                    torch._foreach_copy_(self._state[name], tensors)
            else:
                self._steps = torch.stack(given["step"])  # all in one tensor, which is counted up at once
                self._state = given | {"step": [*self._steps.unbind()]}
            for state, *held in zip(every, *self._state.values()):
                state |= dict(zip(self._state, held))
        return True

    def _fused(self, gradients: list[Tensor], group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self._state, group["betas"]
        self._steps += 1 - self.failed
        torch._fused_adam_(
            self.parameters,
            gradients,
            state["exp_avg"],
            state["exp_avg_sq"],
            [],
            state["step"],
            amsgrad=False,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
            found_inf=self.failed,
        )

    @property
    def can_be_written_out(self) -> bool:
        group = self.optim.param_groups[0]
        plain = self._fusible and not (self.skip or self.grad_clip or group["weight_decay"] or group["maximize"])
        return plain and not any(parameter.is_cuda for parameter in self.parameters)

    def lr(self) -> Tensor:
        """The learning rate as it stands, and the state where `written_out` has it."""
        self._holds_state()
        return self._lr.fill_(self.optim.param_groups[0]["lr"])

    @torch.no_grad()
    def written_out(self, gradients: Sequence[Tensor | None], loss: Tensor, lr: Tensor) -> None:
        """Adam's step (Kingma & Ba 2015, algorithm 1), in operations that a graph can hold and fuse.

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   θ ← θ − lr √c₂ / c₁ · m / (√v + ε √c₂),   cᵢ = 1 − βᵢᵗ
        """
        group = self.optim.param_groups[0]
        (beta1, beta2), eps = group["betas"], group["eps"]
        self._look([], loss)
        self._steps += 1 - self.failed
        t = self._steps[0].double()
        root = (1 - beta2**t).sqrt()
        # Stacked, they are computed once: else Inductor puts their powers into the loop over the numbers.
        numbers = torch.stack([lr * root / (1 - beta1**t), eps * root, self.failed.double()])
        rate, eps, failed = numbers.to(self.parameters[0].dtype).unbind()
        held = self._state["exp_avg"], self._state["exp_avg_sq"]
        for parameter, gradient, *moments in zip(self.parameters, gradients, *held):
            if gradient is None:
                continue
            mean = moments[0] + (gradient - moments[0]) * (1 - beta1)
            square = moments[1] * beta2 + gradient * gradient * (1 - beta2)
            moved = parameter - rate * mean / (square.sqrt() + eps)
            for tensor, value in zip((parameter, *moments), (moved, mean, square)):
                tensor.copy_(torch.where(failed > 0, tensor, value))

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Give the optimizer the state of no step, if it has none. What moves inside is afterwards as it was before."""
        begin(self.optim)
        self._holds_state()
        moved = [self._flags, *self.parameters, *tensors_of(self.optim)]
        held = [tensor.detach().clone() for tensor in moved]
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(moved, held):
                    tensor.copy_(value)


def begin(optim: torch.optim.Optimizer) -> None:
    """Give an optimizer the state that it has before its first step, which is zero."""
    if optim.state:
        return
    for group in optim.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optim.step()  # by nothing, as all gradients are zero
    optim.zero_grad()
    for tensor in tensors_of(optim):
        tensor.zero_()


def tensors_of(optim: torch.optim.Optimizer) -> list[Tensor]:
    """Of its state."""
    return [value for state in optim.state.values() for value in state.values() if isinstance(value, Tensor)]


def adam(parameters: Sequence[Tensor], lr: float) -> torch.optim.Adam:
    """A fused Adam; on CUDA one that a CUDA graph can hold: it reads its learning rate where the graph does."""
    if not parameters[0].is_cuda:
        return torch.optim.Adam(parameters, lr=lr, fused=True)
    return torch.optim.Adam(parameters, torch.tensor(lr, device=parameters[0].device), fused=True, capturable=True)


def adopt(optim: torch.optim.Optimizer, keep_lr: bool) -> None:
    """Make a state that was loaded fit for this device, as it may come from another kind of one."""
    for group in optim.param_groups:
        loaded = float(group["lr"])
        group |= {name: optim.defaults[name] for name in ("lr", "capturable")}
        if keep_lr:
            group["lr"] = torch.full_like(group["lr"], loaded) if isinstance(group["lr"], Tensor) else loaded
