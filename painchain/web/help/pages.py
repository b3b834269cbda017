"""The help pages: a document with the contents list beside it, and the images of documents."""

from __future__ import annotations

from pathlib import PurePosixPath

from flask import Blueprint, abort, redirect, send_file, url_for
from flask.typing import ResponseReturnValue

from painchain.web.common import responses
from painchain.web.help import documents

blueprint = Blueprint("help", __name__)


@blueprint.get("/help")
def index() -> ResponseReturnValue:
    """Lead to the index, under an address against which its relative links resolve."""
    return redirect(url_for(".page", document=documents.INDEX), 303)


@blueprint.get("/help/<path:document>")
def page(document: str) -> ResponseReturnValue:
    """Show a document, or send an image."""
    if document not in documents.names():
        abort(404, "Help page not found. All pages are listed under Help.")
    if image_type := documents.IMAGES.get(PurePosixPath(document).suffix):
        return send_file(documents.folder() / document, mimetype=image_type, max_age=3600)
    return responses.page(
        "pages/help/document.html",
        document=documents.render(document),
        document_name=document,
        contents=documents.contents(),
    )
