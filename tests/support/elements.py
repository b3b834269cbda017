"""Read every element of many pages: lxml's elements take a fiftieth of the time that BeautifulSoup's take."""

from __future__ import annotations

from copy import copy
from itertools import pairwise

from lxml import etree
from werkzeug.test import TestResponse

Element = etree._Element


def tree(response: TestResponse) -> Element:
    """Return the root element of a page or a fragment, parsed as browsers do; of an empty response, an empty page."""
    root = etree.fromstring(response.get_data() or b"<html></html>", etree.HTMLParser(encoding="utf-8"))
    return etree.Element("html") if root is None else root


def words(element: Element) -> str:
    """Return the visible text of an element, with single spaces."""
    return " ".join(str(element.xpath("string()")).split())


def run_together(page: Element) -> list[str]:
    """Return the places where a word of one element begins right after a word of another, without white space."""
    page = copy(page)
    etree.strip_tags(page, "mark")  # the changed part of a value
    etree.strip_elements(page, "script", "style", etree.Comment, with_tail=False)
    return [
        f"{left[-30:]}|{right[:30]}" for left, right in pairwise(page.itertext()) if f"{left[-1:]}{right[:1]}".isalnum()
    ]
