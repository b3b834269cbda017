"""Read a part of a page: most of the time of a test that reads a whole page with BeautifulSoup goes into parsing it."""

from __future__ import annotations

from bs4 import BeautifulSoup
from werkzeug.test import TestResponse

from tests.support.elements import tree
from tests.support.html import PageBuilder


def part_of(response: TestResponse, element_id: str) -> BeautifulSoup:
    """Return the element with an id and what is in it, as a page without the rest; an empty page if there is none."""
    return BeautifulSoup(response.text, builder=PageBuilder("//*[@id = $id]", id=element_id))


def count_of(response: TestResponse) -> int:
    """Return the number of events that a dashboard shows above its chart."""
    [count] = tree(response).xpath("//*[@id='timeline']//*[@class='count']/strong/text()")
    return int(count.replace(",", ""))
