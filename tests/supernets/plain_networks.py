"""Published networks written plainly, at their real shapes, with random weights under the names of published checkpoints.

Nothing here is elastic and nothing is shared with cimbo: what a sub-network of a loaded checkpoint computes must equal what
these compute with the same tensors.
"""

import torch
import torch.nn.functional as F


class Weights(dict):
    """Random tensors by name, made when they are first asked for, of a size that keeps activations near one."""

    def __init__(self, seed=0):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, name, *shape, std=None, mean=0.0):
        if name not in self:
            fan = torch.tensor(shape[1:]).prod().item() if len(shape) > 1 else 1
            tensor = torch.empty(shape).normal_(generator=self.generator) * (std or fan**-0.5)
            self[name] = tensor + mean
        return self[name]


def norm(w, name, x):
    """Batch norm with statistics of its own, which differ from those of ``x``."""
    c = x.shape[1]
    mean, var = (
        w.draw(f"{name}.running_mean", c, std=0.1),
        w.draw(f"{name}.running_var", c, std=0.05, mean=1.0),
    )
    weight, bias = (
        w.draw(f"{name}.weight", c, std=0.1, mean=1.0),
        w.draw(f"{name}.bias", c, std=0.1),
    )
    w[f"{name}.num_batches_tracked"] = torch.tensor(7)
    return (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt() * weight[
        :, None, None
    ] + bias[:, None, None]


def conv(w, name, x, outputs, kernel=1, stride=1, groups=1):
    weight = w.draw(f"{name}.weight", outputs, x.shape[1] // groups, kernel, kernel)
    return F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)


def hswish(x):
    return x * (x + 3).clamp(0, 6) / 6


def mobilenet_v3(w, x, classes=1000):
    """Once-for-All MobileNetV3 (width 1.0), largest: kernels 7, expansion 6, depth 4; names of its dynamic layers."""
    x = hswish(norm(w, "first_conv.bn", conv(w, "first_conv.conv", x, 16, 3, 2)))
    name = "blocks.0.mobile_inverted_conv"
    y = torch.relu(
        norm(w, f"{name}.depth_conv.bn", conv(w, f"{name}.depth_conv.conv", x, 16, 3, 1, 16))
    )
    x = x + norm(w, f"{name}.point_linear.bn", conv(w, f"{name}.point_linear.conv", y, 16))
    index = 1
    for width, stride, act, squeeze in (
        (24, 2, torch.relu, 0),
        (40, 2, torch.relu, 1),
        (80, 2, hswish, 0),
        (112, 1, hswish, 1),
        (160, 2, hswish, 1),
    ):
        for block in range(4):
            name, hidden = f"blocks.{index}.mobile_inverted_conv", 6 * x.shape[1]
            y = act(
                norm(
                    w,
                    f"{name}.inverted_bottleneck.bn.bn",
                    conv(w, f"{name}.inverted_bottleneck.conv.conv", x, hidden),
                )
            )
            step = stride if block == 0 else 1
            for big, small in ((7, 5), (5, 3)):
                w.draw(f"{name}.depth_conv.conv.{big}to{small}_matrix", small**2, small**2)
            y = conv(w, f"{name}.depth_conv.conv.conv", y, hidden, 7, step, hidden)
            y = act(norm(w, f"{name}.depth_conv.bn.bn", y))
            if squeeze:
                y = y * gate(w, f"{name}.depth_conv.se.fc", y)
            y = norm(
                w, f"{name}.point_linear.bn.bn", conv(w, f"{name}.point_linear.conv.conv", y, width)
            )
            x = x + y if step == 1 and x.shape[1] == width else y
            index += 1
    x = hswish(norm(w, "final_expand_layer.bn", conv(w, "final_expand_layer.conv", x, 960)))
    x = hswish(conv(w, "feature_mix_layer.conv", x.mean((2, 3), keepdim=True), 1280)).flatten(1)
    return x @ w.draw("classifier.linear.weight", classes, 1280).T + w.draw(
        "classifier.linear.bias", classes
    )


def gate(w, name, x):
    channels = x.shape[1]
    reduced = int(channels / 4 + 4) // 8 * 8
    y = x.mean((2, 3), keepdim=True)
    y = torch.relu(
        conv(w, f"{name}.reduce", y, reduced)
        + w.draw(f"{name}.reduce.bias", reduced)[:, None, None]
    )
    y = (
        conv(w, f"{name}.expand", y, channels)
        + w.draw(f"{name}.expand.bias", channels)[:, None, None]
    )
    return (y + 3).clamp(0, 6) / 6


def resnet50_d(w, x, classes=1000):
    """Once-for-All ResNet-50-D, largest: six, ... blocks, expansion 0.35, width 1; names of its dynamic layers."""
    x = torch.relu(norm(w, "input_stem.0.bn.bn", conv(w, "input_stem.0.conv.conv", x, 32, 3, 2)))
    x = x + torch.relu(
        norm(w, "input_stem.1.conv.bn.bn", conv(w, "input_stem.1.conv.conv.conv", x, 32, 3))
    )
    x = torch.relu(norm(w, "input_stem.2.bn.bn", conv(w, "input_stem.2.conv.conv", x, 64, 3)))
    x = F.max_pool2d(x, 3, 2, 1)
    index = 0
    for width, hidden, blocks, stride in (
        (256, 88, 4, 1),
        (512, 176, 4, 2),
        (1024, 360, 6, 2),
        (2048, 720, 4, 2),
    ):
        for block in range(blocks):
            name, step = f"blocks.{index}", stride if block == 0 else 1
            y = torch.relu(
                norm(w, f"{name}.conv1.bn.bn", conv(w, f"{name}.conv1.conv.conv", x, hidden))
            )
            y = torch.relu(
                norm(
                    w, f"{name}.conv2.bn.bn", conv(w, f"{name}.conv2.conv.conv", y, hidden, 3, step)
                )
            )
            y = norm(w, f"{name}.conv3.bn.bn", conv(w, f"{name}.conv3.conv.conv", y, width))
            if block == 0:
                x = F.avg_pool2d(x, step, step, ceil_mode=True)
                x = norm(
                    w, f"{name}.downsample.bn.bn", conv(w, f"{name}.downsample.conv.conv", x, width)
                )
            x = torch.relu(x + y)
            index += 1
    x = x.mean((2, 3))
    return x @ w.draw("classifier.linear.linear.weight", classes, 2048).T + w.draw(
        "classifier.linear.linear.bias", classes
    )


def vit_b(w, x, classes=1000, layers=12):
    """ViT-B/16 under timm's names."""
    n = len(x)
    x = F.conv2d(
        x,
        w.draw("patch_embed.proj.weight", 768, 3, 16, 16),
        w.draw("patch_embed.proj.bias", 768),
        stride=16,
    )
    x = torch.cat(
        [w.draw("cls_token", 1, 1, 768).expand(n, -1, -1), x.flatten(2).transpose(1, 2)], 1
    )
    x = x + w.draw("pos_embed", 1, 197, 768, std=0.1)
    for i in range(layers):
        name = f"blocks.{i}"
        y = layer_norm(w, f"{name}.norm1", x)
        qkv = (
            linear(w, f"{name}.attn.qkv", y, 2304).reshape(n, 197, 3, 12, 64).permute(2, 0, 3, 1, 4)
        )
        shares = (qkv[0] @ qkv[1].transpose(-1, -2) / 8).softmax(-1)
        x = x + linear(
            w, f"{name}.attn.proj", (shares @ qkv[2]).transpose(1, 2).reshape(n, 197, 768), 768
        )
        y = F.gelu(linear(w, f"{name}.mlp.fc1", layer_norm(w, f"{name}.norm2", x), 3072))
        x = x + linear(w, f"{name}.mlp.fc2", y, 768)
    return linear(w, "head", layer_norm(w, "norm", x)[:, 0], classes)


def linear(w, name, x, outputs):
    return x @ w.draw(f"{name}.weight", outputs, x.shape[-1], std=0.02).T + w.draw(
        f"{name}.bias", outputs, std=0.02
    )


def layer_norm(w, name, x):
    weight, bias = (
        w.draw(f"{name}.weight", 768, std=0.1, mean=1.0),
        w.draw(f"{name}.bias", 768, std=0.1),
    )
    return (x - x.mean(-1, keepdim=True)) / (
        x.var(-1, unbiased=False, keepdim=True) + 1e-6
    ).sqrt() * weight + bias


def hugging_face(state):
    """The same ViT as Hugging Face names it, queries, keys and values apart."""
    renamed = {}
    for name, tensor in state.items():
        if ".qkv." in name:
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                layer = name.replace("blocks.", "vit.encoder.layer.")
                renamed[layer.replace("attn.qkv", f"attention.attention.{part}")] = piece
            continue
        for old, new in (
            ("blocks.", "vit.encoder.layer."),
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
            ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"),
            ("cls_token", "vit.embeddings.cls_token"),
            ("pos_embed", "vit.embeddings.position_embeddings"),
            ("patch_embed.proj", "vit.embeddings.patch_embeddings.projection"),
            ("head.", "classifier."),
        ):
            name = name.replace(old, new)
        renamed[
            "vit.layernorm." + name.removeprefix("norm.") if name.startswith("norm.") else name
        ] = tensor
    return renamed
