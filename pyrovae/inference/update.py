"""What an optimizer does with gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Update:
    """A step of a torch optimizer, given the gradients of its `parameters`.

    A plain Adam(fused=True) is called past what its Python looks up and checks at each step, which for a small network
    takes as long as the arithmetic. Its state stays where it keeps it.
    """

    def __init__(self, optim: torch.optim.Optimizer) -> None:
        self.optim = optim
        self.parameters = [parameter for group in optim.param_groups for parameter in group["params"]]
        plain = type(optim) is torch.optim.Adam and len(optim.param_groups) == 1
        self._fusible = plain and optim.defaults["fused"] and not optim.defaults["amsgrad"]
        self._state: dict[str, list[Tensor]] = {}
        self._steps = torch.zeros(0)

    def __call__(self, gradients: Sequence[Tensor | None]) -> None:
        if self._fusible and self._holds_state() and not any(gradient is None for gradient in gradients):
            self._fused(gradients, self.optim.param_groups[0])
            return
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = gradient
        self.optim.step()
        self.optim.zero_grad()

    def _holds_state(self) -> bool:
        """Whether the optimizer has state: not before its first step. A loaded one replaces what it had."""
        states = [self.optim.state.get(parameter) for parameter in (self.parameters[0], self.parameters[-1])]
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

    @torch.no_grad()
    def _fused(self, gradients: Sequence[Tensor | None], group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self._state, group["betas"]
        self._steps += 1
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
        )
