"""Read and use pages as a person does: read the text of elements, fetch a form, fill it in."""

from __future__ import annotations

from copy import copy
from itertools import pairwise
from typing import Any

from bs4 import BeautifulSoup, Comment, Doctype, NavigableString, PageElement, Tag
from bs4.builder._lxml import LXMLTreeBuilder
from flask.testing import FlaskClient
from lxml import etree
from werkzeug.test import TestResponse

INPUTS = ["input", "textarea", "select"]
# The attributes that need no value. In a finished tree, lxml gives them their name as their value.
BOOLEAN = {
    *("checked", "compact", "declare", "defer", "disabled", "ismap", "multiple"),
    *("nohref", "noresize", "noshade", "nowrap", "readonly", "selected"),
}


class PageBuilder(LXMLTreeBuilder):
    """Build the soup from lxml's finished tree. From the events of its parser, it would take twice the time."""

    def __init__(self, path: str = "/*", **variables: str) -> None:
        """Choose which elements, with everything in them, become the soup: by an XPath."""
        super().__init__()
        self.path, self.variables = path, variables
        self.last: PageElement | None = None

    def feed(self, markup: Any) -> None:
        """Add the chosen elements of a page or a fragment."""
        assert self.soup is not None
        root = etree.fromstring(markup or "<html></html>", etree.HTMLParser(default_doctype=False))
        if root.getroottree().docinfo.doctype:
            self.add(self.soup, Doctype("html"))
        for element in root.xpath(self.path, **self.variables):
            self.add_element(self.soup, element, NavigableString, False)

    def add(self, parent: Tag, added: PageElement) -> None:
        """Add an element or a text at the end of the page."""
        added.setup(parent, self.last)
        parent.contents.append(added)
        self.last = added

    def add_text(self, parent: Tag, text: str | None, kind: type[NavigableString], is_preformatted: bool) -> None:
        """Add a text. As in every builder, one of only white space becomes a space or a line break."""
        if text and not is_preformatted and not text.strip(BeautifulSoup.ASCII_SPACES):
            text = "\n" if "\n" in text else " "
        if text:
            self.add(parent, kind(text))

    def add_element(self, parent: Tag, element: Any, kind: type[NavigableString], is_preformatted: bool) -> None:
        """Add an element with everything in it."""
        attributes = {name: "" if name in BOOLEAN else value for name, value in element.attrib.items()}
        tag = Tag(self.soup, self, element.tag, attrs=attributes, namespaces=self.active_namespace_prefixes[-1])
        self.add(parent, tag)
        kind = self.string_containers.get(tag.name, kind)
        is_preformatted = is_preformatted or tag.name in self.preserve_whitespace_tags
        self.add_text(tag, element.text, kind, is_preformatted)
        for child in element:
            if child.tag is etree.Comment:
                self.add_text(tag, child.text, Comment, is_preformatted)
            else:
                self.add_element(tag, child, kind, is_preformatted)
            self.add_text(tag, child.tail, kind, is_preformatted)


def soup(response: TestResponse) -> BeautifulSoup:
    """Return the parsed page or fragment of a response."""
    return parsed(response.get_data(as_text=True))


def parsed(html: str) -> BeautifulSoup:
    """Parse a page or a fragment. lxml takes a third of the time, but makes a fragment a whole page."""
    if html.startswith("<!doctype html>"):
        return BeautifulSoup(html, builder=PageBuilder)
    return BeautifulSoup(html, "html.parser")


def words(element: Tag | None) -> str:
    """Return the visible text of an element, with single spaces."""
    assert element is not None
    return " ".join(element.get_text().split())


def texts(page: BeautifulSoup | Tag, selector: str) -> list[str]:
    """Return the visible text of each matching element."""
    return [words(element) for element in page.select(selector)]


def glued(element: Tag) -> list[str]:
    """Return the words that only a style sheet separates: texts of two elements without white space between them."""
    element = copy(element)
    for part in element.select("mark"):  # the changed part of a value
        part.unwrap()
    element.smooth()
    apart = element.get_text(" ").split()
    return [word for word in element.get_text().split() if word not in apart]


def run_together(page: Tag) -> list[str]:
    """Return the places where a word of one element begins right after a word of another, without white space."""
    page = copy(page)
    for part in page.select("mark, script, style"):  # `mark`: the changed part of a value
        if part.name == "mark":
            part.unwrap()
        else:
            part.decompose()
    page.smooth()
    parts = [str(text) for text in page.find_all(string=True) if type(text) is NavigableString]
    return [f"{left[-30:]}|{right[:30]}" for left, right in pairwise(parts) if f"{left[-1:]}{right[:1]}".isalnum()]


def unfold(client: FlaskClient, page: BeautifulSoup) -> BeautifulSoup:
    """Load the details of every row, as a browser does when someone unfolds it, and return the page."""
    for link in page.select("a.unfolds"):
        response = client.get(str(link["hx-get"]), headers={"HX-Request": "true"})
        assert response.status_code == 200, link["hx-get"]
        link.replace_with(soup(response))
    return page


def form_of(response: TestResponse, selector: str = "main form[method=post]") -> dict[str, Any]:
    """Return the inputs that a browser submits for an unchanged form, by name."""
    html = response.get_data(as_text=True)
    form = find_form(html, selector)
    assert form is not None, f"no {selector} on the page"
    submitted: dict[str, Any] = {}
    for element in [*form.find_all(INPUTS, attrs={"name": True}), *inputs_outside(form, html)]:
        if element.has_attr("disabled") or element.get("type") in ("submit", "button"):
            continue
        if element.get("type") in ("checkbox", "radio") and not element.has_attr("checked"):
            continue
        name = str(element["name"])
        if element.name == "textarea":
            # Browsers send text areas with CRLF.
            submitted[name] = element.get_text().removeprefix("\n").replace("\n", "\r\n")
        elif element.name == "select":
            chosen = element.find("option", selected=True) or element.find("option")
            submitted[name] = chosen.get("value", "") if chosen else ""
        else:
            submitted[name] = element.get("value", "on" if element.get("type") == "checkbox" else "")
    return submitted


def action_of(response: TestResponse, selector: str) -> str:
    """Return the address to which a form is sent."""
    form = find_form(response.text, selector)
    assert form is not None, f"no {selector} on the page"
    return str(form["action"])


def find_form(html: str, selector: str) -> Tag | None:
    """Return the first form that matches. Usually it is in `main`: parsing only the forms there takes less time."""
    _, begin, rest = html.partition("<main")
    main = begin + rest.partition("</main>")[0] if begin else html  # a fragment has no `main`
    forms = BeautifulSoup(main, builder=PageBuilder("//form"))
    if form := forms.select_one(selector.removeprefix("main ")):
        return form
    return parsed(html).select_one(selector)


def inputs_outside(form: Tag, html: str) -> list[Tag]:
    """Return the inputs, and the button that submits it, that are outside a form and belong to it by its id."""
    if f'form="{form.get("id")}"' not in html:
        return []
    outside = BeautifulSoup(html, builder=PageBuilder("//*[@form = $id and @name]", id=str(form["id"])))
    return outside.find_all(attrs={"form": True, "name": True})


def fill(form: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the form with some inputs filled; False unticks a checkbox, True ticks it."""
    filled = {**form, **{name: "y" if value is True else value for name, value in values.items() if value is not False}}
    return {name: value for name, value in filled.items() if values.get(name) is not False}
