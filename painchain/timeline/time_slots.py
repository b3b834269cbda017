"""Divide time into slots that have rollups, and the remaining ranges that have none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from painchain.indexes.rollups import ALL_TIME

MICRO = 1_000_000
MANY_RANGES = 4  # if the slots leave more ranges uncovered, they are not used

Range = tuple[int | None, int | None]  # from, to before
Piece = tuple[int, int | None, int | None]  # grain, first slot, slot after the last
Spans = dict[int, list[Range]]  # by grain: first slot, slot after the last


def cover(borders: Sequence[int | None], grains: Sequence[int]) -> tuple[Spans, list[Range]]:
    """Divide the time between `borders` into slots that cross no border, and the ranges that no slot covers.

    >>> hour = 3_600_000_000
    >>> cover([0, 5 * hour // 2, 5 * hour + 7], (3600, 900))
    ({3600: [(0, 2), (3, 5)], 900: [(8, 12)]}, [(18000000000, 18000000007)])
    """
    spans: Spans = {}
    uncovered: list[Range] = []
    for low, high in pairwise(borders):
        pieces, uncovered_ends = _pieces(low, high, grains)
        for grain, *span in pieces:
            spans.setdefault(grain, []).append((span[0], span[1]))
        uncovered += uncovered_ends
    spans, uncovered = {grain: _merged(ranges) for grain, ranges in spans.items()}, _merged(uncovered)
    return (spans, uncovered) if len(uncovered) <= MANY_RANGES else ({}, [(borders[0], borders[-1])])


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Return the ranges in order, with adjacent ranges joined."""
    merged: list[Range] = []
    for low, high in sorted(ranges, key=lambda span: -1 if span[0] is None else span[0]):
        if merged and merged[-1][1] == low:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def _pieces(start: int | None, end: int | None, grains: Sequence[int]) -> tuple[list[Piece], list[Range]]:
    """Divide a range into slots, the coarsest possible, and the ends that no slot covers.

    >>> _pieces(None, 2 * 3_600_000_000 + 5, (3600,))
    ([(3600, None, 2)], [(7200000000, 7200000005)])
    >>> _pieces(1, None, (3600,))
    ([(3600, 1, None)], [(1, 3600000000)])
    """
    if start is None and end is None:
        return [(ALL_TIME, None, None)], []
    if not grains:
        return [], [(start, end)]
    grain, *finer = grains
    low = None if start is None else -(-start // (grain * MICRO))
    high = None if end is None else end // (grain * MICRO)
    if low is not None and high is not None and low >= high:
        return _pieces(start, end, finer)
    pieces: list[Piece] = [(grain, low, high)]
    uncovered: list[Range] = []
    for low_time, high_time in (
        (start, None if low is None else low * grain * MICRO),
        (None if high is None else high * grain * MICRO, end),
    ):
        if low_time is not None and high_time is not None and low_time < high_time:
            finer_pieces, uncovered_ends = _pieces(low_time, high_time, finer)
            pieces += finer_pieces
            uncovered += uncovered_ends
    return pieces, uncovered
