from __future__ import annotations

from collections.abc import Callable

import torch

from pellucid.jobs.executors.shared import share
from pellucid.maths.noise import linear_ladder
from pellucid.priors import Counted, GaussianPrior
from pellucid.priors.adapters import VENetwork
from pellucid.priors.network import DenoisingUNet


def test_weights_keep_values_and_layout_in_one_piece_of_shared_memory(
    tiny_network: Callable[..., DenoisingUNet],
) -> None:
    network = tiny_network().requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {name: (weight.clone(), weight.stride()) for name, weight in network.state_dict().items()}
    prior = VENetwork(network, linear_ladder(), multiple=4)
    x = torch.linspace(-1, 1, 3 * 64).view(1, 3, 8, 8)
    expected = prior(x, 0.5)
    share(Counted(prior))
    after = network.state_dict()
    assert all(weight.is_shared() for weight in after.values())
    assert len({weight.untyped_storage().data_ptr() for weight in after.values()}) == 1
    for name, (weight, stride) in before.items():
        assert torch.equal(after[name], weight)
        assert after[name].stride() == stride
        assert after[name].data_ptr() % 64 == 0
    assert torch.equal(prior(x, 0.5), expected)
    # Again changes nothing.
    places = [weight.data_ptr() for weight in after.values()]
    share(prior)
    assert [weight.data_ptr() for weight in network.state_dict().values()] == places


def test_a_prior_without_a_network_has_nothing_to_share() -> None:
    share(GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))
