"""Post JSON to one address: no redirect is followed, nothing of the answer is read but its status."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import httpx2

from painchain.connectors.http_errors import connection_error
from painchain.core.http_transport import BoundedTransport, Deadline

SECONDS = 5.0  # of one step
WHOLE = 15.0  # of all of it, however slowly the other side talks


class NotPosted(Exception):
    """What did not arrive. The message says why in words, and of the address only its host."""


def post(url: str, value: Any) -> None:
    """Post `value` to an address.

    :raises NotPosted: when it does not answer with 2xx in time.
    """
    host = urlsplit(url).hostname or "the address"
    deadline = Deadline()
    deadline.moment = time.monotonic() + WHOLE
    # Whoever runs the server has chosen the address: it is asked wherever it is.
    transport = BoundedTransport(httpx2.create_ssl_context(), deadline, guarded=False)
    try:
        with (
            httpx2.Client(transport=transport, timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, json=value, headers={"User-Agent": "PainChain"}) as response,
        ):
            status = response.status_code
    except httpx2.TimeoutException:
        raise NotPosted(f"{host} did not answer in time.") from None
    except httpx2.ConnectError as error:
        raise NotPosted(str(connection_error(host, error))) from None
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise NotPosted(f"The connection to {host} broke off.") from None
    if not 200 <= status < 300:
        raise NotPosted(f"{host} refused it (status {status}).")
