"""Networks of torchvision, timm and transformers with random weights, small where their configuration allows.

None of them multiplies constants with one another (positions with weights, as swin_v2 and xcit do): torch counts that at every
run, and a file's reader does not, since it can be done once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch

TOKENS, VOCABULARY, WIDTH = 24, 120, 64


@dataclass(frozen=True)
class Architecture:
    """How to build one network, and an input for it.

    Attributes:
        name: of the network.
        library: where it comes from.
        build: makes it.
        example: makes its one input; the leading size counts inferences.
        has_sequence: whether the second size of the input counts tokens, so that it can be left free.
    """

    name: str
    library: str
    build: Callable[[], torch.nn.Module]
    example: Callable[[], torch.Tensor]
    has_sequence: bool = False


class FirstOutput(torch.nn.Module):
    """A network that answers one tensor, where the one it wraps answers several."""

    def __init__(
        self, inner: torch.nn.Module, output: str, *, masked: bool = False, **fixed: Any
    ) -> None:
        super().__init__()
        self.inner, self.output, self.masked, self.fixed = inner, output, masked, fixed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = {"attention_mask": torch.ones_like(x)} if self.masked else {}
        return self.inner(x, **mask, **self.fixed)[self.output]


def image(side: int, batch: int = 1) -> Callable[[], torch.Tensor]:
    """A random image."""
    return lambda: torch.rand(batch, 3, side, side)


def tokens() -> torch.Tensor:
    """A random text."""
    return torch.randint(0, VOCABULARY, (1, TOKENS))


def of_torchvision(name: str, side: int = 64, **options: Any) -> Architecture:
    """A classifier."""
    from torchvision.models import get_model

    def build() -> torch.nn.Module:
        return get_model(name, weights=None, **options)

    return Architecture(name, "torchvision", build, image(side))


def densely_connected() -> Architecture:
    """DenseNet with two layers a block."""
    from torchvision.models.densenet import DenseNet

    def build() -> torch.nn.Module:
        return DenseNet(growth_rate=8, block_config=(2, 2, 2, 2), num_init_features=16)

    return Architecture("densenet", "torchvision", build, image(64))


def segmentation(name: str) -> Architecture:
    """A network that labels every pixel; torchvision's answer dictionaries."""
    from torchvision.models import get_model

    def build() -> torch.nn.Module:
        return FirstOutput(get_model(name, weights=None, weights_backbone=None), "out")

    return Architecture(name, "torchvision", build, image(64))


def of_timm(name: str, side: int = 224, **options: Any) -> Architecture:
    """A classifier."""
    import timm

    def build() -> torch.nn.Module:
        return timm.create_model(name, pretrained=False, **options)

    return Architecture(name, "timm", build, image(side))


def of_transformers(
    name: str, model: str, output: str = "last_hidden_state", **options: Any
) -> Architecture:
    """A text network of two narrow blocks. ``name`` is the prefix of its configuration's class."""

    def build() -> torch.nn.Module:
        import transformers

        found = getattr(transformers, f"{name}Config")(**options)
        found._attn_implementation = "eager"
        inner = getattr(transformers, model)(found)
        fixed = {"use_cache": False} if hasattr(found, "use_cache") else {}
        return FirstOutput(inner, output, masked=True, **fixed)

    return Architecture(model, "transformers", build, tokens, has_sequence=True)


def of_signals(
    name: str, model: str, output: str, example: Callable[[], torch.Tensor], **options: Any
) -> Architecture:
    """A network of transformers whose input is an image or a sound."""

    def build() -> torch.nn.Module:
        import transformers

        found = getattr(transformers, f"{name}Config")(**options)
        found._attn_implementation = "eager"
        return FirstOutput(getattr(transformers, model)(found), output)

    return Architecture(model, "transformers", build, example)


def _blocks(**more: Any) -> dict[str, Any]:
    """Sizes in the words that most configurations share."""
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        **more,
    }


def architectures() -> list[Architecture]:
    """The 39 networks, those of the three libraries in turn."""
    libraries = (_torchvision(), _timm(), _transformers())
    turns = zip_longest(*libraries)
    return [each for turn in turns for each in turn if each is not None]


def _torchvision() -> list[Architecture]:
    return [
        of_torchvision("alexnet", 224),
        of_torchvision("vgg11", 224),
        of_torchvision("resnet18"),
        densely_connected(),
        of_torchvision("googlenet", aux_logits=False, init_weights=False),
        of_torchvision("squeezenet1_1"),
        of_torchvision("mobilenet_v3_small"),
        of_torchvision("shufflenet_v2_x0_5"),
        of_torchvision("efficientnet_b0"),
        of_torchvision("regnet_y_400mf"),
        of_torchvision("mnasnet0_5"),
        of_torchvision("swin_t"),
        of_torchvision("vit_b_32", 224),
        segmentation("lraspp_mobilenet_v3_large"),
    ]


def _timm() -> list[Architecture]:
    return [
        of_timm("convnext_atto", 64),
        of_timm("mixer_s32_224"),
        of_timm("deit_tiny_patch16_224", depth=2),
        of_timm("efficientvit_b0", 64),
        of_timm("pvt_v2_b0"),
        of_timm("levit_128s"),
        of_timm("coat_lite_tiny"),
        of_timm("beit_base_patch16_224", depth=2, embed_dim=96, num_heads=4),
        of_timm("edgenext_xx_small", 128),
        of_timm("mobilevit_xxs", 128),
        of_timm("ghostnet_050", 64),
        of_timm("poolformer_s12", 64),
    ]


def _transformers() -> list[Architecture]:
    sound = lambda: torch.rand(1, 3200)  # noqa: E731
    grouped = _blocks(num_key_value_heads=2)
    return [
        of_transformers("Bert", "BertModel", "pooler_output", **_blocks()),
        of_transformers(
            "DistilBert",
            "DistilBertModel",
            vocab_size=VOCABULARY,
            dim=WIDTH,
            hidden_dim=2 * WIDTH,
            n_layers=2,
            n_heads=4,
            max_position_embeddings=64,
        ),
        of_transformers(
            "GPT2",
            "GPT2LMHeadModel",
            "logits",
            vocab_size=VOCABULARY,
            n_positions=64,
            n_embd=WIDTH,
            n_layer=2,
            n_head=4,
        ),
        of_transformers("Llama", "LlamaForCausalLM", "logits", **grouped),
        of_transformers("Qwen2", "Qwen2ForCausalLM", "logits", **grouped),
        of_transformers("Mistral", "MistralModel", **grouped),
        of_transformers("Gemma2", "Gemma2Model", **grouped, head_dim=16),
        of_transformers("GPTNeoX", "GPTNeoXModel", **_blocks()),
        of_transformers(
            "T5",
            "T5EncoderModel",
            vocab_size=VOCABULARY,
            d_model=WIDTH,
            d_kv=16,
            d_ff=2 * WIDTH,
            num_layers=2,
            num_heads=4,
        ),
        of_transformers("Electra", "ElectraModel", **_blocks(embedding_size=32)),
        of_transformers("DebertaV2", "DebertaV2Model", **_blocks(relative_attention=True)),
        of_signals(
            "CLIPVision",
            "CLIPVisionModel",
            "pooler_output",
            image(64),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=64,
            patch_size=16,
        ),
        of_signals(
            "Wav2Vec2",
            "Wav2Vec2Model",
            "last_hidden_state",
            sound,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            conv_dim=[32] * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
        ),
    ]
