"""The settings of a Webhook connector: its preset, how deliveries are signed, and its own expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from painchain.connectors.base import Field, FieldError, Kind
from painchain.connectors.webhook import mapping
from painchain.connectors.webhook.expressions import MAX_LENGTH, ExpressionError, parse
from painchain.connectors.webhook.presets import GENERIC, PRESETS, Preset
from painchain.connectors.webhook.signing import Method, Signing

PREFIX = "map_"  # of the keys of expressions
SIGNING_SECTION, MAPPING_SECTION = "Signature", "Mapping"
LABELS = {
    "news": "News",
    "split": "Split",
    "end_time": "End time",
    "sha": "Commit",
    "url": "Link",
    "external_id": "External ID",
}
# The methods that a connector can choose, by the value of the field.
METHODS: Mapping[str, tuple[str, Signing]] = {
    "hmac-sha256": ("HMAC-SHA256 of the body in a header", Signing(Method.HMAC, "X-Signature-256")),
    "hmac-sha512": ("HMAC-SHA512 of the body in a header", Signing(Method.HMAC, "X-Signature-512", "sha512")),
    "hmac-sha1": ("HMAC-SHA1 of the body in a header", Signing(Method.HMAC, "X-Signature", "sha1")),
    "token": ("The secret itself in a header", Signing(Method.TOKEN, "Authorization")),
    "standard": ("Standard Webhooks", Signing(Method.STANDARD)),
}


def preset_of(settings: Mapping[str, Any]) -> Preset | None:
    """Return the preset of a connector; None if this version does not have it."""
    return PRESETS.get(settings.get("preset") or GENERIC)


def signing_of(settings: Mapping[str, Any]) -> Signing:
    """Return how the deliveries of a connector are signed."""
    preset, method = preset_of(settings), settings.get("signing") or ""
    _, signing = METHODS.get(method, ("", preset.signing if preset else Signing()))
    return replace(signing, header=settings.get("header") or signing.header)


def expressions_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return a connector's own expressions, by the member that they are for."""
    own = {member: settings.get(f"{PREFIX}{member}") or "" for member in mapping.MEMBERS}
    return {member: text for member, text in own.items() if text}


def _of_preset(member: str) -> Callable[[Mapping[str, Any]], str]:
    def fallback(settings: Mapping[str, Any]) -> str:
        preset = preset_of(settings)
        return preset.mapping.get(member, "") if preset else ""

    return fallback


def _signing_in_words(settings: Mapping[str, Any]) -> str:
    preset = preset_of(settings)
    if preset is None:
        return ""
    signing = preset.signing
    words = {Method.HMAC: f"HMAC-{signing.algorithm.upper()}", Method.TOKEN: "the secret", Method.STANDARD: ""}
    return f"{words[signing.method]} in {signing.header}" if words[signing.method] else "Standard Webhooks"


def _header(settings: Mapping[str, Any]) -> str:
    signing = signing_of({**settings, "header": None})
    return "" if signing.method is Method.STANDARD else signing.header


def _check_expression(text: str) -> None:
    try:
        parse(text)
    except ExpressionError as problem:
        raise FieldError(f"The expression {problem}.") from None


def _expression(member: str, meaning: str) -> Field:
    label = LABELS.get(member, member.capitalize())
    return Field(
        PREFIX + member,
        label,
        Kind.TEXT,
        help=meaning,
        max_length=MAX_LENGTH,
        check=_check_expression,
        section=MAPPING_SECTION,
        fallback=_of_preset(member),
        format="jmespath",
    )


FIELDS = (
    Field(
        "preset",
        "Preset",
        Kind.CHOICE,
        GENERIC,
        True,
        help="What sends the webhooks. It decides how they are signed and read, unless you say otherwise below.",
        choices=tuple((preset.key, preset.label) for preset in PRESETS.values()),
        document="connectors/webhook.md#presets",
    ),
    Field("service", "Default service", Kind.TEXT, max_length=200, help="For events whose payload names no service."),
    Field(
        "environment",
        "Default environment",
        Kind.TEXT,
        max_length=200,
        help="For events whose payload names no environment.",
    ),
    Field(
        "signing",
        "Signature",
        Kind.CHOICE,
        help="How the source proves that it knows the secret.",
        choices=(("", "As the preset says"), *((key, label) for key, (label, _) in METHODS.items())),
        section=SIGNING_SECTION,
        fallback=_signing_in_words,
    ),
    Field(
        "header",
        "Header",
        Kind.TEXT,
        max_length=100,
        help="The HTTP header that has the signature or the secret.",
        item=r"[A-Za-z0-9_-]+",
        item_hint="the name of an HTTP header, such as X-Signature-256",
        section=SIGNING_SECTION,
        fallback=_header,
        format="header",
    ),
    *(_expression(member, meaning) for member, meaning in mapping.MEMBERS.items()),
)
