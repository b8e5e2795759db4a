"""The convolutional network has the layers of the published experiments."""

from pyrovae.parts.networks import Conv


def test_conv_has_the_layers_of_the_published_experiments():
    net = Conv((1, 28, 28))
    kinds = [
        (m.out_channels, *m.kernel_size, *m.stride, *m.padding) for m in net.encoder().body if hasattr(m, "stride")
    ]
    assert kinds == [(16, 4, 4, 2, 2, 1, 1), (32, 4, 4, 2, 2, 1, 1), (16, 3, 3, 1, 1, 1, 1)]
    decoder = net.decoder(10, 1)
    assert decoder.start.out_features == 16 * 7 * 7
    assert net.encoder().features == 16 * 7 * 7
