"""Published checkpoints as elastic super-networks: Once-for-All, and ViT-B / DeiT-B of timm or Hugging Face.

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
from cimbo.supernets.ofa_mobilenet import OfaMobileNet
from cimbo.supernets.ofa_resnet import OfaResNet
from cimbo.supernets.vit_b import ElasticViTB

State = dict[str, Tensor]


@dataclass(frozen=True)
class Format:
    """How a checkpoint becomes a super-network: its tensors renamed, the tensor whose rows are classes, the module."""

    rename: Callable[[State], State]
    head: str
    build: Callable[..., nn.Module]


def elastic(network: str, path: Path) -> nn.Module:
    """Loads a published checkpoint as a super-network, ready to measure.

    Args:
        network: A key of CHECKPOINT_FORMATS.
        path: The checkpoint.

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
    raw = read(path)
    state = form.rename(raw)
    if form.head not in state:
        raise BadInput(path, f"has no tensor {form.head}", f"name a whole checkpoint of {network}")
    with torch.device("meta"):
        module = form.build(classes=len(state[form.head]), **_epsilon(network, raw))
    _check(path, network, module, state)
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False).eval()


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

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
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
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(t, Tensor) for t in found.values()):
        raise BadInput(
            path, "holds something else than named tensors", "save the model's state dict"
        )
    return {
        re.sub(r"^module\.", "", str(k)): t.float()
        for k, t in found.items()
        if not str(k).endswith("num_batches_tracked")
    }


def _check(path: Path, network: str, module: nn.Module, state: State) -> None:
    expected = {k: v.shape for k, v in module.state_dict().items()}
    for name in sorted(expected.keys() | state):
        if name not in state:
            raise BadInput(path, f"lacks {name}", f"name a checkpoint of {network}")
        shape = tuple(
            state[name].flatten(1).shape
            if ".se.fc." in name and state[name].ndim > 1
            else state[name].shape
        )
        if shape != tuple(expected.get(name, ())):
            wanted = "not there"
            if name in expected:
                wanted = f"{tuple(expected[name])}"
            raise BadInput(
                path, f"{name} is {shape}, expected {wanted}", f"name a checkpoint of {network}"
            )


# ---- names ----------------------------------------------------------------------------------------------------------


def _once_for_all(state: State) -> State:
    """The dynamic layers of the original wrap each tensor once more; wrapped and plain names become the plain ones."""

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
    (r"\.attention\.attention\.query\.", ".attn.q."),
    (r"\.attention\.attention\.key\.", ".attn.k."),
    (r"\.attention\.attention\.value\.", ".attn.v."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head."),
]


def _vision_transformer(state: State) -> State:
    if any("dist_token" in k or "distillation" in k for k in state):
        raise BadInput(
            "--weights",
            "are of a distilled DeiT, which has a token more",
            "name DeiT-B or ViT-B without it",
        )
    return dict(_split(state))


def _split(state: State) -> Iterator[tuple[str, Tensor]]:
    """timm's names, queries, keys and values apart; what only helped in training is left out."""
    for name, tensor in state.items():
        for pattern, replacement in _HUGGING_FACE:
            name = re.sub(pattern, replacement, name)
        if ".qkv." in name:
            for part, t in zip("qkv", tensor.chunk(3), strict=True):
                yield (name.replace(".qkv.", f".{part}."), t)
        elif not name.startswith(("pooler.", "pre_logits.")):
            yield name, tensor


def _epsilon(network: str, raw: State) -> dict[str, float]:
    """Hugging Face's layer norms add 1e-12, timm's 1e-6."""
    if network == "vit-b":
        return {"eps": 1e-12 if any("layernorm_before" in k for k in raw) else 1e-6}
    return {}


CHECKPOINT_FORMATS: dict[str, Format] = {
    "ofa-mobilenetv3": Format(_once_for_all, "classifier.linear.weight", OfaMobileNet),
    "ofa-mobilenetv3-w1.2": Format(
        _once_for_all, "classifier.linear.weight", partial(OfaMobileNet, 1.2)
    ),
    "ofa-resnet50": Format(_once_for_all, "classifier.linear.weight", OfaResNet),
    "vit-b": Format(_vision_transformer, "head.weight", ElasticViTB),
}
