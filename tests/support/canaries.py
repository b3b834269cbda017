"""Secrets to plant, and the search for them in outputs."""

from __future__ import annotations

import base64
import itertools
import json
import re
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.html import fill, form_of

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"

# It contains a character that is percent-encoded in addresses.
CANARY = "c4nary+8d1f-"
FAULT = "f4ult+b27e-made-up"

# Shown only to its sender: the name on the sign-in page (sometimes a password by mistake), the address of a link.
SHOWN_BACK = re.compile(
    r'POST /sign-in 422: .*<input name="name" value="|POST /link/\S+ 422: .*method="post" action="/link/'
)
numbered = itertools.count(1)


def canary() -> str:
    """Return a new secret, so that a leak shows through which input it came."""
    return f"{CANARY}{next(numbered)}"


def forms(secret: bytes) -> set[bytes]:
    """Return the encodings of a secret: plain, percent-encoded, hexadecimal, JSON, base64 at any offset."""
    text = secret.decode("latin-1")
    encodings = {secret, quote(text, safe="").encode(), quote(text).encode(), text.replace("+", " ").encode()}
    encodings |= {form.lower() for form in encodings if b"%" in form and form.isascii()} | {secret.hex().encode()}
    encodings |= {json.dumps(text).replace("/", "\\/")[1:-1].encode()}
    for skipped in range(3):
        packed = base64.b64encode(b"x" * skipped + secret)
        inner = packed[-(-skipped * 8 // 6) : (skipped + len(secret)) * 8 // 6]
        encodings |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return encodings


class Watch:
    """The planted secrets, and where they were found."""

    def __init__(self) -> None:
        self.secrets = {CANARY.encode()}
        self.found: list[str] = []
        self.outputs: set[str] = set()
        self._forms: set[bytes] = set()
        self._count = 0

    def issued(self, secret: str) -> str:
        """Also search for a secret that PainChain has created, and return it."""
        assert len(secret) >= 20
        self.secrets.add(secret.encode())
        return secret

    def look(self, output: str, *contents: str | bytes) -> None:
        """Search for every secret in the contents of an output."""
        encodings = set().union(*map(forms, self.secrets)) if len(self.secrets) != self._count else self._forms
        self._forms, self._count = encodings, len(self.secrets)
        self.outputs.add(output)
        for content in contents:
            data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
            for form in encodings:
                for hit in re.finditer(re.escape(form), data) if form in data else ():
                    leak = f"{output}: {data[max(hit.start() - 60, 0) : hit.end() + 6]!r}"
                    self.found += [] if SHOWN_BACK.match(leak) else [leak]

    def answers(self, *responses: TestResponse) -> None:
        """Search headers and bodies of responses."""
        for response in responses:
            output = f"{response.request.method} {response.request.path} {response.status_code}"
            self.look(output, str(response.headers), response.get_data())


# Inputs


def opened(client: FlaskClient, number: int) -> dict[str, Any]:
    """Open a connector's page and return its form."""
    return form_of(client.get(f"{LIST}/{number}"), "#connector-form")


class Editor:
    """A person who edits connectors, and opens the page of one again only after it was saved."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self._forms: dict[int, dict[str, Any]] = {}

    def edit(self, number: int, headers: dict[str, str], **values: Any) -> TestResponse:
        """Fill in and send a connector's form."""
        if number not in self._forms:
            self._forms[number] = opened(self.client, number)
        form = fill(self._forms[number], **values)
        response = self.client.post(f"{LIST}/{number}", data=form, headers=headers)
        if response.status_code != 422:
            del self._forms[number]
        return response
