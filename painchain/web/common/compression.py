"""Compress responses for browsers that accept it, and keep the compressed form of bodies that are sent again."""

from __future__ import annotations

from flask import Flask, Request, Response, g, request
from flask_compress import Compress

from painchain.core import runtime
from painchain.core.sized_cache import Moment

# In this order if a browser accepts several equally. Brotli makes the smallest pages; browsers accept Brotli and
# Zstandard only over HTTPS and from this machine.
ALGORITHMS = ("br", "zstd", "gzip")
MIMETYPES = (
    *("text/html", "text/css", "text/javascript", "text/plain", "text/csv", "image/svg+xml"),
    *("application/json", "application/x-ndjson"),
)
MIN_BYTES = 500
GZIP_LEVEL = 4  # level 6 takes twice as long for pages that are a tenth smaller


class CompressedBodies:
    """The compressed bodies in the cache of the app, by algorithm and key. Flask-Compress reads and fills it."""

    def get(self, key: str) -> bytes | None:
        """Return a compressed body; None if there is none."""
        body: bytes | None = runtime.current().cache.get(("compressed", key))
        return body

    def set(self, key: str, value: bytes) -> None:
        """Keep a compressed body, unless its response has no key of its own (see `keep_compressed`)."""
        if not key.endswith(";"):
            runtime.current().cache.put(("compressed", key), value, len(value), g.get("compressed_moment"))


def keep_compressed(key: str, moment: Moment | None = None) -> None:
    """Compress the body of this response only once for all responses with this key, which have the same body.

    `moment` is the one that the body depends on, if any (see `SizedCache`).
    """
    g.compressed_key, g.compressed_moment = key, moment


def install(app: Flask) -> None:
    """Compress the responses of an app. Hooks that are installed later run before the compression."""
    app.config.update(
        COMPRESS_REGISTER=False,
        COMPRESS_MIMETYPES=list(MIMETYPES),
        COMPRESS_MIN_SIZE=MIN_BYTES,
        COMPRESS_ALGORITHM=list(ALGORITHMS),
        COMPRESS_ALGORITHM_STREAMING=list(ALGORITHMS),
        COMPRESS_BR_LEVEL=5,
        COMPRESS_LEVEL=GZIP_LEVEL,
        COMPRESS_CACHE_BACKEND=CompressedBodies,
        COMPRESS_CACHE_KEY=_key,
    )
    compress = Compress(app)

    @app.after_request
    def compress_response(response: Response) -> Response:
        is_static = request.endpoint == "static" and response.status_code == 200
        if is_static and response.mimetype in MIMETYPES:
            _read_file(response)
        elif "ETag" in response.headers and not is_static:
            # Scripts send the ETag of an API resource back in If-Match: it must be the same in each encoding.
            return response
        if request.environ.get("HTTP_ACCEPT_ENCODING", "identity") == "identity" or not any(
            request.accept_encodings[algorithm] > 0 for algorithm in ALGORITHMS
        ):
            # `vary.add` would parse the header, and parse it again to write it.
            vary = response.headers.get("Vary")
            response.headers["Vary"] = f"{vary}, Accept-Encoding" if vary else "Accept-Encoding"
            return response
        compressed: list[Response] = []

        def compress_first() -> bool:
            compressed.append(compress.after_request(response))
            return True

        if key := g.get("compressed_key"):  # others that answer with the same body meanwhile wait
            runtime.current().cache.get_or_compute(
                ("compressing", key, request.headers.get("Accept-Encoding")),
                compress_first,
                moment=g.compressed_moment,
            )
        if not compressed:
            compress_first()
        return compressed[0]


def _key(request: Request) -> str:
    return str(g.get("compressed_key", ""))


def _read_file(response: Response) -> None:
    """Read a static file into memory: a body that is not streamed is compressed once."""
    response.direct_passthrough = False
    response.get_data()
    keep_compressed(f"static {request.path} {response.get_etag()[0]}")
