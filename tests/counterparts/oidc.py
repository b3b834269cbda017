"""A real OpenID Connect provider on this machine, and a person who signs in there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin
from urllib.request import urlopen

import httpx2

from tests.counterparts.node import MODULES, free_port, need, need_version, node

CLIENT, SECRET = "painchain", "a secret+with/every%kind=of:sign"
BACK = "http://localhost/sign-in/oidc/back"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "subject-of-alice": {"email": "Alice@people.example", "email_verified": True},
    "other-alice": {"email": "alice@people.example", "email_verified": True},
    "subject-of-bob": {"email": "bob@people.example", "email_verified": True},
    "unverified": {"email": "alice@people.example", "email_verified": False},
    "nameless": {},
    "lookalike": {"email": "ali\u212ae@people.example", "email_verified": True},
    "elsewhere": {"email": "bob@elsewhere.example", "email_verified": True},
}


@dataclass(frozen=True)
class FakeProvider:
    """The provider that runs at `url`, which is also its issuer."""

    url: str

    def environment(self, **more: str) -> dict[str, str]:
        """Return the settings of a server that signs people in through this provider."""
        names = {"oidc_issuer": self.url, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
        return {**names, "oidc_name": "Example ID", "public_url": "http://localhost", **more}

    def faults(self, **faults: str) -> None:
        """Make the provider send these faults from now on; without arguments, none."""
        with urlopen(f"{self.url}/faults?{urlencode(faults)}", timeout=10):
            pass

    def visit(self, address: str, account: str = "", **form: str) -> str:
        """Sign in at the provider as a browser does, and return the callback address."""
        with httpx2.Client(trust_env=False, timeout=30, verify=False) as browser:  # the provider has no certificate
            answer = browser.get(address)
            while answer.is_redirect and answer.headers["location"].startswith(("/", self.url)):
                answer = browser.get(urljoin(self.url, answer.headers["location"]))
            if not answer.is_redirect:
                assert "The provider" in answer.text, answer.text
                answer = browser.post(str(answer.url), data={"account": account, **form})
            while answer.headers["location"].startswith(("/", self.url)):
                answer = browser.get(urljoin(self.url, answer.headers["location"]))
            return str(answer.headers["location"])


@contextmanager
def provider(folder: Path, back: str = BACK) -> Iterator[FakeProvider]:
    """Run the provider on a free port; its log is in `folder`."""
    need("oidc-provider")
    need_version(20, 0)
    url = f"http://127.0.0.1:{(port := free_port())}"
    options = {"port": port, "client": CLIENT, "secret": SECRET, "back": [back], "accounts": ACCOUNTS}
    program = MODULES.parent / "provider.mjs"
    with node(folder / "provider.log", f"{url}/jwks", program, json.dumps(options)):
        yield FakeProvider(url)
