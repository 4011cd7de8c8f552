"""Studies described in TOML: presets, a user's study.toml, and the schema that both are checked against."""

from cimbo.config.study_config import (
    DEFAULT_PRESET,
    PRESETS_FOLDER,
    Config,
    from_definition,
    load,
    preset,
    presets,
)

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS_FOLDER",
    "Config",
    "from_definition",
    "load",
    "preset",
    "presets",
]
