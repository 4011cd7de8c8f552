"""Sub-networks that are cut out for a file leave the super-network of the process alone."""

import torch

from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.io.onnx_export import sub_network
from cimbo.workloads import network


def test_a_sub_network_is_its_own():
    name = "fmnist-mobilenet"
    genes, images = network(name).smallest(), examples(name, "validation")[0][:4]
    shared = supernetwork(name)
    before = {key: value.clone() for key, value in shared.state_dict().items()}
    first = sub_network(name, genes)
    with torch.no_grad():
        logits = first(images)
        sub_network(name, network(name).largest())
        assert torch.equal(first(images), logits)
    for key, value in shared.state_dict().items():
        assert torch.equal(value, before[key]), key
