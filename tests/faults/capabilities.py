"""A process of root that permissions of files apply to."""

from __future__ import annotations

import ctypes

VERSION_3 = 0x20080522  # of the structure


def drop_capabilities() -> None:
    """Drop all capabilities of this process, so that file permissions also apply to root."""
    header, none = (ctypes.c_uint32 * 2)(VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "cannot drop capabilities")
