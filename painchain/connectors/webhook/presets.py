"""Presets: one data file for each source, which says how its webhooks are set up, signed and read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from painchain.connectors.webhook import mapping
from painchain.connectors.webhook.mapping import CompiledMapping
from painchain.connectors.webhook.signing import ALGORITHMS, ENCODINGS, Method, Signing

FOLDER = Path(__file__).parent / "presets"
GENERIC = "generic"


@dataclass(frozen=True)
class Preset:
    """How to read the webhooks of one source.

    `label` is the name of the choice; `sender` is what sends the webhooks, as sentences call it (by default the label).
    `source` is the URL of the source's own documentation, `version` says which version it describes. `mapping` has one
    JMESPath expression for each member (``mapping.MEMBERS``). `setup` says step by step, in Markdown, what to enter at
    the source. `not_news` is the reason why a payload makes no event. With `gives_secret`, the source makes the secret,
    and a person enters it at PainChain.
    """

    key: str
    label: str
    summary: str
    source: str
    version: str
    setup: str
    not_news: str
    mapping: Mapping[str, str]
    signing: Signing = field(default_factory=Signing)
    gives_secret: bool = False
    sender: str = ""

    def compiled(self, own: Mapping[str, str] | None = None) -> CompiledMapping:
        """Return the mapping, ready to use, with expressions of a connector's own in place of those of the preset.

        An empty expression is the preset's.

        :raises mapping.MappingError: if an expression is not valid.
        """
        return _compiled(self.key, tuple(sorted((own or {}).items())))

    def instructions(self, url: str, secret: str) -> str:
        """Return `setup` with the URL of a connector's webhook, and its secret or what stands for it."""
        return self.setup.strip().replace("{url}", url).replace("{secret}", secret)


def _read(file: Path) -> Preset:
    values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    # An expression can have several lines in the file, and has one on pages.
    expressions = {member: " ".join(text.split()) for member, text in values.pop("mapping").items()}
    values["not_news"] = values["not_news"].strip()
    signing = values.pop("signing", {})
    values.setdefault("sender", values["label"])
    return Preset(key=file.stem, mapping=MappingProxyType(expressions), signing=_signing(signing, file.name), **values)


def _signing(values: Mapping[str, Any], name: str) -> Signing:
    signing = Signing(**{**values, "method": Method(values["method"])}) if values else Signing()
    if signing.algorithm not in ALGORITHMS or signing.encoding not in ENCODINGS:
        raise ValueError(f"{name}: unknown algorithm or encoding")
    return signing


def _load() -> dict[str, Preset]:
    presets = [_read(file) for file in FOLDER.glob("*.toml")]
    return {each.key: each for each in sorted(presets, key=lambda each: (each.key != GENERIC, each.label.casefold()))}


PRESETS: Mapping[str, Preset] = MappingProxyType(_load())


@lru_cache(maxsize=256)
def _compiled(key: str, own: tuple[tuple[str, str], ...]) -> CompiledMapping:
    preset = PRESETS[key]
    changed = {member: text for member, text in own if text.strip()}
    reason = mapping.NOT_NEWS if {"news", "split"} & changed.keys() else preset.not_news
    return mapping.compile({**preset.mapping, **changed}, reason)
