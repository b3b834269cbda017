"""Post JSON to one address. Only the status of the response is read; redirects are not followed."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.http_errors import connection_error

SECONDS = 5.0  # timeout for each network operation
TOTAL_SECONDS = 15.0  # timeout for the whole request


class DeliveryFailed(Exception):
    """The address did not accept the value. The message says why; it names only the host of the address."""


def post(url: str, value: Any) -> None:
    """Post `value` as JSON to an address.

    :raises DeliveryFailed: when the address does not answer with 2xx in time.
    """
    import httpx2  # large, and few servers deliver checkpoints

    from painchain.core.http_transport import BoundedTransport, Deadline

    host = urlsplit(url).hostname or "the address"
    deadline = Deadline()
    deadline.moment = time.monotonic() + TOTAL_SECONDS
    # The operator configures this address, so private networks are allowed.
    transport = BoundedTransport(httpx2.create_ssl_context(), deadline, guarded=False)
    try:
        with (
            httpx2.Client(transport=transport, timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, json=value, headers={"User-Agent": "PainChain"}) as response,
        ):
            status = response.status_code
    except httpx2.TimeoutException:
        raise DeliveryFailed(f"{host} did not answer in time.") from None
    except httpx2.ConnectError as error:
        raise DeliveryFailed(str(connection_error(host, error))) from None
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise DeliveryFailed(f"The connection to {host} was lost.") from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"{host} answered with status {status}.")
