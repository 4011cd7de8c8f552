"""Networks of timm and of transformers by name: made from what is installed, without weights and without a download."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from cimbo.errors import BadInput, check_known, choose_from
from cimbo.workloads.fixed import FixedNetwork
from cimbo.workloads.pytorch.sliced import SlicedFamily, sliced_family
from cimbo.workloads.pytorch.tracing import traced

DEFAULT_TOKENS = 128
# Models whose sizes are others than those that transformers gives their kind.
# Sources: the config.json that was published with each model.
KNOWN_MODELS: dict[str, tuple[str, dict[str, int]]] = {
    "bert-base-uncased": ("bert", {}),
    "bert-base-cased": ("bert", {"vocab_size": 28996}),
    "bert-large-uncased": (
        "bert",
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
    ),
    "distilbert-base-uncased": ("distilbert", {}),
    "roberta-base": (
        "roberta",
        {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "gpt2": ("gpt2", {}),
    "gpt2-medium": ("gpt2", {"n_embd": 1024, "n_layer": 24, "n_head": 16}),
    "google/vit-base-patch16-224": ("vit", {}),
}


def library_network(name: str, sizes: Mapping[str, int]) -> SlicedFamily | FixedNetwork:
    """The network that ``name`` means, elastic where its structure says how.

    Args:
        name: timm:NAME, hf:NAME or hf:FOLDER/config.json.
        sizes: what it is given: ``image``, the side of an image, or ``tokens`` (128 by default).

    Returns:
        The family of its sub-networks; the network alone where nothing is elastic.

    Raises:
        BadInput: the library is not installed, or there is no such network or size.
    """
    library, _, model = name.partition(":")
    if library == "timm":
        module, arguments = _timm(name, model, sizes)
    else:
        module, arguments = _transformers(name, model, sizes)
    trace = traced(module, (), arguments, name=name)
    family = sliced_family(name, module, trace)
    if family.stages:
        return family
    return FixedNetwork(name, trace.workload)


def _library(name: str, package: str) -> Any:
    """The imported ``package``, which the network ``name`` needs."""
    try:
        return import_module(package)
    except ImportError:
        raise BadInput(
            f"network {name!r}", f"needs {package}", f"pip install 'cimbo[{package}]'"
        ) from None


def _timm(
    name: str, model: str, sizes: Mapping[str, int]
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The module of the network ``name``, ``model`` in timm, and its argument by name: one image."""
    timm = _library(name, "timm")
    if not timm.is_model(model):
        known = timm.list_models()
        raise BadInput(f"network {name!r}", "is no model of timm", choose_from(model, known))
    _check_sizes(name, sizes, ("image",))
    options = {}
    if "image" in sizes:
        options = {"img_size": sizes["image"]}
    with torch.device("meta"):
        try:
            module = timm.create_model(model, pretrained=False, **options)
        except TypeError:  # a network of convolutions takes any image, and has no such option
            module = timm.create_model(model, pretrained=False)
    channels, height, width = module.default_cfg["input_size"]
    side = sizes.get("image")
    image = torch.empty(1, channels, side or height, side or width, device="meta")
    return module, {_first_argument(module): image}


def _first_argument(module: torch.nn.Module) -> str:
    """The name of the first argument that the module's forward takes."""
    from inspect import signature

    return next(iter(signature(module.forward).parameters))


def _transformers(
    name: str, model: str, sizes: Mapping[str, int]
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The module of the network ``name``, ``model`` in transformers, and its arguments: one sequence or one image."""
    library = _library(name, "transformers")
    config = _config(name, model, library)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    with torch.device("meta"):
        module = library.AutoModel.from_config(config)
    main_input = str(module.main_input_name)
    if main_input == "pixel_values":
        _check_sizes(name, sizes, ("image",))
        side = sizes.get("image", int(getattr(config, "image_size", 224)))
        channels = int(getattr(config, "num_channels", 3))
        return module, {main_input: torch.empty(1, channels, side, side, device="meta")}
    if main_input != "input_ids":
        what = f"takes {main_input}, neither words nor an image"
        raise BadInput(f"network {name!r}", what, "trace it in Python: cimbo.workloads.trace")
    _check_sizes(name, sizes, ("tokens",))
    tokens = sizes.get("tokens", DEFAULT_TOKENS)
    words = torch.empty(1, tokens, dtype=torch.long, device="meta")
    arguments = {main_input: words}
    if getattr(config, "is_encoder_decoder", False):
        arguments["decoder_input_ids"] = words
    return module, arguments


def _config(name: str, model: str, library: Any) -> Any:
    """The configuration that ``model`` means in transformers (``library``).

    It is, in this order: the path of a config.json, one of KNOWN_MODELS, a kind of model such as "bert" at its default
    sizes, or a model that was downloaded before.

    Args:
        name: The network's whole name, for errors.
        model: The name without its prefix.
        library: The package transformers.

    Returns:
        The configuration.

    Raises:
        BadInput: When the file cannot be read, or the model is none of these.
    """
    where = f"network {name!r}"
    path = Path(model)
    if path.suffix == ".json":
        if not path.is_file():
            raise BadInput(where, f"{path} is no file", "give the path of a config.json")
        try:
            return library.AutoConfig.from_pretrained(str(path))
        except (ValueError, OSError, KeyError) as error:
            what = f"cannot be read ({str(error).splitlines()[0]:.120})"
            raise BadInput(where, what, "give a config.json of transformers") from None
    if model in KNOWN_MODELS:
        kind, its_sizes = KNOWN_MODELS[model]
        return library.AutoConfig.for_model(kind, **its_sizes)
    kinds = list(library.CONFIG_MAPPING.keys())
    if model in kinds:
        return library.AutoConfig.for_model(model)
    try:
        return library.AutoConfig.from_pretrained(model, local_files_only=True)
    except (OSError, ValueError):
        todo = (
            f"{choose_from(model, sorted({*KNOWN_MODELS, *kinds}))}; or give hf:FOLDER/config.json"
        )
        raise BadInput(where, "is no model that is known without a download", todo) from None


def _check_sizes(name: str, sizes: Mapping[str, int], known: tuple[str, ...]) -> None:
    """Refuses sizes that the network ``name`` does not have; it has those named in ``known``."""
    for size in sizes:
        check_known(size, known, f"network {name!r}, {size}", "is no size of it")
