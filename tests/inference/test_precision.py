"""Matrix products in lower precision."""

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import InputError, fit
from pyrovae.inference.precision import products


@pytest.mark.usefixtures("loops_of_numbers")
@pytest.mark.parametrize("compiled", ["no", "yes"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_bfloat16_changes_a_training_a_little(network, compiled):
    records = {}
    for precision in ("fp32", "bf16"):
        vae, config = small_vae(compile=compiled, epochs=2, precision=precision, network=network)
        *_, records[precision] = fit(vae, small_data(pixels=config.pixels), config)
        assert {p.dtype for p in vae.parameters()} == {torch.float32}
    assert records["bf16"]["train"]["loss"] == pytest.approx(records["fp32"]["train"]["loss"], rel=0.02)
    assert records["bf16"]["train"]["loss"] != records["fp32"]["train"]["loss"]


def test_only_matrix_products_are_rounded():
    a, b = torch.randn(5, 7, requires_grad=True), torch.randn(7, 3, requires_grad=True)
    with products("bf16"):
        c = a @ b
        gradients = torch.autograd.grad(c.exp().log().sum(), [a, b])
        assert (a + 1e-5).dtype == c.dtype == torch.float32
        assert not torch.equal(a + 1e-5, a)
    rough, ones = [x.detach().bfloat16().float() for x in (a, b)], torch.ones(5, 3)
    torch.testing.assert_close(c, rough[0] @ rough[1], rtol=1 / 256, atol=1e-6)  # the product is rounded, too
    torch.testing.assert_close(gradients[0], ones @ rough[1].T, rtol=1 / 128, atol=1e-2)
    torch.testing.assert_close(gradients[1], rough[0].T @ ones, rtol=1 / 128, atol=1e-2)


def test_tf32_is_refused_on_a_cpu():
    vae, config = small_vae(precision="tf32", device="cpu")
    with pytest.raises(InputError, match="precision: expected fp32 or bf16 on cpu, got 'tf32'"):
        fit(vae, small_data(pixels=config.pixels), config)
