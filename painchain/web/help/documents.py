"""Read the documents in `docs/` and render them as HTML.

The names of files are known beforehand, so an address never becomes a path. Links between documents are relative and
end in `.md`, so they work on a code host and under `/help/` alike, without being rewritten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from painchain.core import resources

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

INDEX = "README.md"
IMAGES = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Heading:
    """A heading of a document: its level (1 to 6), its text and its anchor."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Document:
    """A rendered document."""

    title: str
    html: Markup
    headings: tuple[Heading, ...]

    @property
    def sections(self) -> list[Heading]:
        """Return the headings of the second level."""
        return [heading for heading in self.headings if heading.level == 2]


@dataclass(frozen=True)
class ContentsGroup:
    """A group of the contents list: its heading, and the name and title of each document."""

    heading: str
    documents: tuple[tuple[str, str], ...]


def folder() -> Path:
    """Return the folder of the documents."""
    return resources.folder("docs")


@cache
def names() -> frozenset[str]:
    """Return the name of each document and image, relative to the folder, such as `admin/oidc.md`."""
    files = (path for path in folder().rglob("*") if path.suffix in (".md", *IMAGES))
    return frozenset(path.relative_to(folder()).as_posix() for path in files)


@cache
def render(name: str) -> Document:
    """Return the document with this name.

    :raises KeyError: there is no such document.
    """
    if name not in names() or not name.endswith(".md"):
        raise KeyError(name)
    tokens = parse(name)
    headings = tuple(add_anchors(tokens))
    for token in tokens:
        if token.type == "table_open":
            token.attrSet("tabindex", "0")  # a wide table scrolls sideways, also with the keyboard
    title = next((heading.text for heading in headings if heading.level == 1), name)
    # The renderer escapes text and the parser passes no HTML through.
    html = Markup(markdown().renderer.render(tokens, markdown().options, {}))  # noqa: S704
    return Document(title, html, headings)


@cache
def markdown() -> MarkdownIt:
    """Return the parser: the grammar of code hosts, with tables. It shows HTML in a document as text."""
    from markdown_it import MarkdownIt  # takes 60 ms, which the start of a server does without

    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(["html_inline", "html_block"])


def parse(name: str) -> list[Token]:
    """Return the tokens of a document."""
    return markdown().parse((folder() / name).read_text(encoding="utf-8"))


def add_anchors(tokens: Sequence[Token]) -> Iterator[Heading]:
    """Give each heading token an `id`, the same as code hosts do, and yield the headings."""
    seen: Counter[str] = Counter()
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            text = plain_text(inline)
            anchor = slug(text)
            seen[anchor] += 1
            if seen[anchor] > 1:
                anchor = f"{anchor}-{seen[anchor] - 1}"
            token.attrSet("id", anchor)
            yield Heading(int(token.tag[1:]), text, anchor)


def plain_text(inline: Token) -> str:
    """Return the text of an inline token without its markup."""
    return "".join(child.content for child in inline.children or ())


def slug(text: str) -> str:
    """Return the anchor that code hosts make of a heading's text.

    >>> slug("Who did it, and why"), slug("`make run`")
    ('who-did-it-and-why', 'make-run')
    """
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def contents() -> tuple[ContentsGroup, ...]:
    """Return the contents list: the headings of the index and the documents that it links to below each."""
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    tokens = parse(INDEX)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            groups.append((plain_text(inline), []))
        elif token.type == "paragraph_open" and groups:
            groups[-1][1].extend(links(inline))
    return tuple(ContentsGroup(heading, tuple(documents)) for heading, documents in groups)


def links(inline: Token) -> Iterator[tuple[str, str]]:
    """Yield the address and the text of each link."""
    for token, text in pairwise(inline.children or []):
        if token.type == "link_open":
            yield str(token.attrGet("href")), text.content
