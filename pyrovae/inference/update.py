"""What an optimizer does with gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Update:
    """A step of a torch optimizer, given the loss and the gradients of its `parameters`.

    At a loss that is not finite `failed` becomes 1, and from then on nothing moves. With `skip` it is of the last step
    alone, which is left out if its loss or the norm of its gradients is not finite, and `skipped` counts such steps.
    `grad_clip` is the norm that gradients are scaled down to (0: none).

    A plain Adam(fused=True) is called past what its Python looks up and checks at each step, which for a small network
    takes as long as the arithmetic. Its state stays where it keeps it.
    """

    def __init__(self, optim: torch.optim.Optimizer, grad_clip: float = 0.0, skip: bool = False) -> None:
        self.optim, self.grad_clip, self.skip = optim, grad_clip, skip
        self.parameters = [parameter for group in optim.param_groups for parameter in group["params"]]
        plain = type(optim) is torch.optim.Adam and len(optim.param_groups) == 1
        self._fusible = plain and optim.defaults["fused"] and not optim.defaults["amsgrad"]
        self._state: dict[str, list[Tensor]] = {}
        self._steps = torch.zeros(0)
        flags = torch.zeros(2, dtype=torch.float32, device=self.parameters[0].device)  # which fused steps take
        self.failed, self.skipped = flags.unbind()

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
        """Whether the optimizer has state: not before its first step. A loaded one replaces what it had."""
        states = [self.optim.state.get(parameter, {}) for parameter in (self.parameters[0], self.parameters[-1])]
        if not all(states):
            return False
        if not self._state or self._state["step"][0] is not states[0]["step"]:
            every = [self.optim.state[parameter] for parameter in self.parameters]
            if not all(every):
                return False
            self._steps = torch.stack([state["step"] for state in every])
            for state, step in zip(every, self._steps.unbind()):
                state["step"] = step  # all in one tensor, which is counted up at once
            self._state = {name: [state[name] for state in every] for name in ("step", "exp_avg", "exp_avg_sq")}
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
