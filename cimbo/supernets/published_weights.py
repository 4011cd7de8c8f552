"""Published checkpoints as elastic super-networks: Once-for-All, AutoFormer, ViTs of timm or Hugging Face, and BERT.

A file is read as safetensors, or by ``torch.load(weights_only=True)``, which runs no code of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cimbo.errors import BadInput
from cimbo.supernets import bert
from cimbo.supernets.autoformer import SUPER_SIZES, ElasticAutoFormer
from cimbo.supernets.ofa_mobilenet import OfaMobileNet
from cimbo.supernets.ofa_resnet import OfaResNet
from cimbo.supernets.vit_b import VIT_SIZES, ElasticViT, size_of

State = dict[str, Tensor]


@dataclass(frozen=True)
class Format:
    """How a checkpoint becomes a super-network.

    Attributes:
        rename: Gives the tensors of the file the names that the module has.
        head: Name of the renamed tensor that has one row for each class.
        build: Makes the module, from the number of classes, the renamed tensors and those of the file.
    """

    rename: Callable[[State], State]
    head: str
    build: Callable[[int, State, State], nn.Module]


def elastic(network: str, path: Path) -> nn.Module:
    """Loads a published checkpoint as a super-network, ready to measure.

    Args:
        network: A key of CHECKPOINT_FORMATS.
        path: The checkpoint, or a folder of the Hub that holds it.

    Returns:
        The super-network in evaluation mode, without gradients; it has as many classes as the
        checkpoint.

    Raises:
        BadInput: When ``network`` has no loader, the file cannot be read, or its tensors are not of
            that network.
    """
    if network not in CHECKPOINT_FORMATS:
        raise BadInput(
            "--weights",
            f"{network} has no loader",
            f"use a network among {', '.join(CHECKPOINT_FORMATS)}",
        )
    form = CHECKPOINT_FORMATS[network]
    raw = read(weights_file(path))
    state = form.rename(raw)
    if form.head not in state:
        raise BadInput(path, f"has no tensor {form.head}", f"name a whole checkpoint of {network}")
    with torch.device("meta"):
        module = form.build(len(state[form.head]), state, raw)
    _check(path, network, module, state)
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False).eval()


def weights_file(path: Path) -> Path:
    """Finds the file of weights in a folder as the Hub has it.

    Args:
        path: A file, or a folder.

    Returns:
        The file; ``path`` itself where it is no folder.

    Raises:
        BadInput: Where the folder holds no weights, or several files of them.
    """
    if not path.is_dir():
        return path
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).is_file():
            return path / name
    files = [file for file in sorted(path.iterdir()) if file.suffix in (".safetensors", ".pth")]
    if len(files) != 1:
        what = f"holds {len(files)} files of weights, and no model.safetensors"
        raise BadInput(path, what, "name the file with --weights")
    return files[0]


def read(path: Path) -> State:
    """Reads the tensors of a checkpoint.

    Args:
        path: A safetensors file by its suffix, else one that ``torch.load`` reads; a state dict may
            lie under ``state_dict``, ``model`` or ``state_dict_ema``.

    Returns:
        Tensors in single precision by name, without the prefix ``module.`` and without counts of
        batches.

    Raises:
        BadInput: For anything that is not a file of named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if str(error):
            line = str(error).splitlines()[0]
        else:
            line = type(error).__name__
        raise BadInput(
            path,
            f"cannot be read as weights ({line[:120]})",
            "name a safetensors file or a state dict",
        ) from None
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(t, Tensor) for t in content.values()):
        raise BadInput(
            path, "holds something else than named tensors", "save the model's state dict"
        )
    return {
        re.sub(r"^module\.", "", str(k)): t.float()
        for k, t in content.items()
        if not str(k).endswith("num_batches_tracked")
    }


def _check(path: Path, network: str, module: nn.Module, state: State) -> None:
    """Refuse tensors that do not fit a network. Raises BadInput, naming the first."""
    expected = {k: v.shape for k, v in module.state_dict().items()}
    for name in sorted(expected.keys() | state):
        if name not in state:
            raise BadInput(path, f"lacks {name}", f"name a checkpoint of {network}")
        tensor = state[name]
        if ".se.fc." in name and tensor.ndim > 1:  # a 1 x 1 convolution, a linear layer in ours
            tensor = tensor.flatten(1)
        shape = tuple(tensor.shape)
        if shape != tuple(expected.get(name, ())):
            wanted = "not there"
            if name in expected:
                wanted = f"{tuple(expected[name])}"
            raise BadInput(
                path, f"{name} is {shape}, expected {wanted}", f"name a checkpoint of {network}"
            )


# ---- names ----------------------------------------------------------------------------------------------------------


def _once_for_all(state: State) -> State:
    """Rename the tensors of Once-for-All: its dynamic layers wrap each tensor in a further module, which is removed."""

    def plain(name: str) -> str:
        """Gives a tensor's plain name, without wrappers and parts that repeat the one before.

        Args:
            name: The name in the checkpoint.

        Returns:
            The name in our module.
        """
        name = name.replace("mobile_inverted_conv.", "conv.").replace(
            "input_stem.1.conv.", "input_stem.1."
        )
        parts = name.split(".")
        return ".".join(p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1])

    return {plain(k): v for k, v in state.items()}


_HUGGING_FACE = [
    (r"^(vit|deit)\.", ""),
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"^embeddings\.distillation_token", "dist_token"),
    (r"^layers\.(\d+)\.", r"blocks.\1."),  # as transformers 5 names them, with the next
    (r"\.attention\.([qkv])_proj\.", r".attn.\1."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.attention\.query\.", ".attn.q."),
    (r"\.attention\.attention\.key\.", ".attn.k."),
    (r"\.attention\.attention\.value\.", ".attn.v."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"^(cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "head_dist."),
]


def _vision_transformer(distilled: bool, state: State) -> State:
    """Rename the tensors of a vision transformer to timm's names, with queries, keys and values apart.

    Raises BadInput where the weights are of a distilled DeiT, which has one token more, but the network
    is not.

    Returns:
        Renamed tensors.
    """
    has_token = any("dist_token" in name or "distillation" in name for name in state)
    if has_token and not distilled:
        what = "are of a distilled DeiT, which has a token more"
        raise BadInput("--weights", what, "use the network deit-b-distilled, or other weights")
    return dict(_split(state))


def _split(state: State) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors under timm's names, queries, keys and values apart; those only used in training are left out."""
    for name, tensor in state.items():
        for pattern, replacement in _HUGGING_FACE:
            name = re.sub(pattern, replacement, name)
        if ".qkv." in name:
            for part, part_tensor in zip("qkv", tensor.chunk(3), strict=True):
                yield name.replace(".qkv.", f".{part}."), part_tensor
        elif not name.startswith(("pooler.", "pre_logits.")):
            yield name, tensor


def _vit(name: str, classes: int, state: State, raw: State) -> nn.Module:
    """Make a vision transformer for a checkpoint; layer norms add 1e-12 in Hugging Face's, 1e-6 in timm's."""
    eps = 1e-6
    if any("layernorm_before" in tensor for tensor in raw):
        eps = 1e-12
    return ElasticViT(size_of(name, state), classes, eps)


def _sized_by_classes(build: Callable[..., nn.Module]) -> Callable[[int, State, State], nn.Module]:
    """Make the ``build`` of a `Format` for a module that depends on the number of classes only."""
    return lambda classes, state, raw: build(classes=classes)


def _formats() -> dict[str, Format]:
    """The formats of all networks with published checkpoints, by network family."""
    head = "classifier.linear.weight"
    wide = partial(OfaMobileNet, 1.2)
    formats = {
        "ofa-mobilenetv3": Format(_once_for_all, head, _sized_by_classes(OfaMobileNet)),
        "ofa-mobilenetv3-w1.2": Format(_once_for_all, head, _sized_by_classes(wide)),
        "ofa-resnet50": Format(_once_for_all, head, _sized_by_classes(OfaResNet)),
    }
    for name, size in VIT_SIZES.items():
        rename = partial(_vision_transformer, size.prefix == 2)
        formats[name] = Format(rename, "head.weight", partial(_vit, name))
    formats["bert-base"] = Format(bert.renamed, "head.weight", bert.build)
    for name in SUPER_SIZES:
        build = _sized_by_classes(partial(ElasticAutoFormer, name))
        formats[name] = Format(dict, "head.weight", build)
    return formats


CHECKPOINT_FORMATS = _formats()
"""How a published checkpoint of each network family is loaded."""
