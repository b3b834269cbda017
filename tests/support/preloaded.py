"""Import what a server imports until it serves its first page, once for all servers of the tests."""

import gc

import flask_migrate  # noqa: F401

import painchain.cli.serve  # noqa: F401

gc.freeze()  # otherwise the first collection of each forked process copies all of it
