"""Write one document for each preset of the webhook connector, from its data file: ``make preset-pages``."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from painchain.connectors.webhook.mapping import MEMBERS
from painchain.connectors.webhook.presets import GENERIC, PRESETS, Preset
from painchain.connectors.webhook.signing import Method, Signing

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "connectors" / "webhook"
URL, SECRET = "https://painchain.example/hooks/webhook/7", "SECRET"
CHANGE_EVENT, JMESPATH = "[change event](../../events.md)", "[JMESPath](https://jmespath.org)"
WIDTH = 120


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    return {f"{preset.key}.md": page(preset) for preset in PRESETS.values()}


def page(preset: Preset) -> str:
    """Return the page of a preset in Markdown."""
    about = f"It is made for {preset.version}, as described in [its documentation]({preset.source})."
    kept = "PainChain shows the last ten deliveries on the connector's page: what they made, or why they made no event."
    own = "To change one, enter your own on the connector's page."
    parts = [
        f"# {title(preset)}",
        _paragraph(preset.summary if preset.key == GENERIC else f"{preset.summary} {about}"),
        "## Set up",
        _paragraph(_at_painchain(preset)),
        _paragraph(f"In these steps, `{URL}` stands for the webhook's URL, and `{SECRET}` for its secret."),
        preset.instructions(URL, SECRET),
        "## Signature",
        _paragraph(_signature(preset.signing)),
        "## What is recorded",
        _paragraph(f"{_news(preset)} {kept}"),
        _paragraph(f"Each member of the {CHANGE_EVENT} has an expression in {JMESPATH}. {own}"),
        _mapping(preset),
        _paragraph(
            f"`make preset-pages` writes this page from `painchain/connectors/webhook/presets/{preset.key}.toml`."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def title(preset: Preset) -> str:
    """Return the heading of a preset's page."""
    return "Webhooks of any source" if preset.key == GENERIC else f"{preset.label} webhooks"


def _at_painchain(preset: Preset) -> str:
    steps = f"Add a connector of the type *Webhook*, and choose the preset *{preset.label}*."
    if preset.gives_secret:
        return f"{steps} {preset.label} makes the secret: enter it on the connector's page when you have it."
    return f"{steps} The connector's page shows the URL and the secret."


def _signature(signing: Signing) -> str:
    if signing.method is Method.STANDARD:
        return "Deliveries are signed as [Standard Webhooks](https://www.standardwebhooks.com) describe."
    if signing.method is Method.TOKEN:
        ways = "alone, after `Bearer` or `Token`, or as the password of Basic authentication"
        return f"The header `{signing.header}` has the secret: {ways}."
    prefix = f"`{signing.prefix}` and " if signing.prefix else ""
    body = (
        f"the value of `{signing.timestamp_header}`, a colon and the body" if signing.timestamp_header else "the body"
    )
    algorithm = f"HMAC-{signing.algorithm.upper().replace('SHA', 'SHA-')}"
    return f"The header `{signing.header}` has {prefix}the {algorithm} of {body}, in {signing.encoding}."


def _news(preset: Preset) -> str:
    if preset.key == GENERIC:
        return "Each payload makes an event, and an array makes one for each item."
    if preset.not_news.startswith("Only "):
        return preset.not_news.partition(";")[0].rstrip(".") + "."
    return f"A payload that is no news makes no event, and says why: “{preset.not_news}”"


def _mapping(preset: Preset) -> str:
    lines = [f"{member}: {preset.mapping[member]}" for member in MEMBERS if member in preset.mapping]
    return "\n".join(["```", *lines, "```"])


def _paragraph(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
