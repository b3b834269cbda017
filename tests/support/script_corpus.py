"""Texts that were run as markup or scripts in other programs, and an assertion that a page runs none of them."""

from __future__ import annotations

import json

from bs4 import BeautifulSoup
from lxml import etree

from tests.support.elements import Element

# If a text became markup, its elements would have an attribute x55, and its scripts would call x55().
FEW = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</textarea></title></svg><script>alert(1)</script>",
    "<svg onload=alert(1)><style>*{}</style>",
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)//{{97*10000019}}${97*10000019}",
    "&lt;script&gt;&#60;b&#62;",
]
CORPUS = [
    *FEW,
    "<script x55>x55()</script>",
    "<ScRiPt x55 >x55()</sCrIpT >",
    "<scr<script x55>ipt x55>x55()</scr</script>ipt>",
    '"><script x55 src=//evil.example/x.js></script>',
    "'\"--><svg/x55/onload=x55()>",
    "<img x55 src=x onerror=x55()//",  # the tag is not closed, and swallows the text that follows
    '" x55 autofocus onfocus=x55() y="',
    "' x55 autofocus onfocus=x55() y='",
    "` x55 onmouseover=x55() `",
    "<a x55 href=javascript:x55()>a</a>",
    "<a x55 href='java\tscript:x55()'>a</a>",
    "[a](javascript:x55())",
    "data:text/html,<script x55>x55()</script>",
    "vbscript:x55()",
    "//evil.example/%0d%0aSet-Cookie:x55=1",
    "<iframe x55 srcdoc='<script>x55()</script>'></iframe>",
    "<math x55><mtext><table><mglyph><style><img x55 src=x onerror=x55()>",
    "<template x55><form x55 action=//evil.example><button x55 formaction=javascript:x55()>x",
    "<div x55 hx-get=/sign-out hx-trigger=load hx-on:click=x55()></div>",
    "<base x55 href=//evil.example/><link x55 rel=stylesheet href=//evil.example/x.css>",
    "<meta x55 http-equiv=refresh content='0;url=javascript:x55()'>",
    "</script><script x55>x55()</script>",
    "\"}'></div><input x55 name=csrf_token>",
    "{{x55}}<%= x55 %>${x55}#{x55}{% x55 %}",
    "\u003cimg x55 src=x onerror=x55()\u003e\uff1cscript x55\uff1e",
    "%3Cscript%20x55%3Ex55()%3C/script%3E",
    "&#60;script x55&#62;x55()&#60;/script&#62;&quot;&apos;",
    "<!--><img x55 src=x onerror=x55()>-->",
    "<x55 x55/onpointerenter=x55()>\u2028<x55 x55>",
]

# One of each kind: markup that ends an attribute with either quote, an element or a comment; markup in text; attributes
# after either quote; a script as a link, with an expression of templates; a link to another host; escaped markup.
KINDS = [CORPUS[number] for number in (1, 2, 5, 6, 7, 13, 14, 21, 34)]

LEADING = ("href", "src", "action", "formaction", "xlink:href", "hx-get", "hx-post", "hx-push-url", "poster", "srcset")


FOREIGN = {"style", "img", "iframe", "object", "embed", "base", "b", "math", "template", "x55"}


_scripts = etree.XPath("//@*[starts-with(name(), 'on') or starts-with(name(), 'hx-on')]")
_refused = etree.XPath("//@style | //@x55 | //@http-equiv")
_leading = etree.XPath("//@*[" + " or ".join(f"name() = '{name}'" for name in LEADING) + "]")
_loaded = etree.XPath("//script[not(starts-with(@src, '/static/'))] | //link[not(starts-with(@href, '/static/'))]")
_objects = etree.XPath("//@hx-vals | //@hx-headers | //@content")


def assert_inert(page: BeautifulSoup | Element) -> None:
    """Assert that a page has only its own scripts, handlers, styles and images, and no link that runs a script."""
    if isinstance(page, BeautifulSoup):
        page = etree.fromstring(str(page), etree.HTMLParser())
    wrong = [*page.iter(*FOREIGN), *_loaded(page)]
    wrong += [attribute.getparent() for find in (_scripts, _refused) for attribute in find(page)]
    assert not wrong, [etree.tostring(element) for element in wrong]
    for address in set(_leading(page)):
        leads = address.strip().lower()
        assert leads[:2] != "//", address
        harmless = leads.startswith(("/", "#", "?", "http://", "https://"))
        assert harmless or leads in ("", "true", "false", "."), address
    for text in _objects(page):
        if text.startswith("{"):
            json.loads(text)
    assert "970001843" not in page.xpath("string()")
