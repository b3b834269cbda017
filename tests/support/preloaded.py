"""Import what a server and the commands import, once for all processes of the tests."""

import gc

import flask_migrate  # noqa: F401

import painchain.cli.demo
import painchain.cli.events
import painchain.cli.export
import painchain.cli.serve
import painchain.cli.user
import painchain.cli.verify  # noqa: F401

gc.freeze()  # otherwise the first collection of each forked process copies all of it
