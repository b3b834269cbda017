"""Compose the messages of a rule: as many whole notices in each as its service takes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from painchain.eventlog.outbox import MAX_BATCH, QueuedNotice
from painchain.notifications.limits import Limits

SHORTENED = "… (shortened)"
MIN_TEXT = 40  # characters of a notice that are more important than its author
# How chat services write a mention of everybody, of a person by name (Telegram, Mattermost, Rocket.Chat), or of a
# person or role by number. An address of email is none. Apprise escapes the mentions of Slack.
_MENTION = re.compile(
    r"@(?=(?:everyone|here|channel|all|room)\b|_?\*|[!&]?\d+>)|(?<!\w)@(?=\w)|<(?=users/)", re.IGNORECASE
)
LONGEST_COUNTER = f" ({MAX_BATCH}/{MAX_BATCH})"


@dataclass(frozen=True)
class Message:
    """One message, and the ids of its notices."""

    title: str
    text: str
    notices: Sequence[int]


def compose(notices: Sequence[QueuedNotice], limits: Limits) -> list[Message]:
    """Return messages that a service takes, with all notices in their order.

    If there are several, their titles count them: “PainChain: 12 events (1/2)”. Only a notice that does not fit into a
    message of its own is shortened, and says so.
    """
    pages: list[list[QueuedNotice]] = []
    for notice in map(_without_mentions_in, notices):
        if pages and limits.fits(_title([*pages[-1], notice]) + LONGEST_COUNTER, _text([*pages[-1], notice])):
            pages[-1].append(notice)
        else:
            pages.append([notice])
    counters = [f" ({number}/{len(pages)})" if len(pages) > 1 else "" for number in range(1, len(pages) + 1)]
    return [_message(page, counter, limits) for page, counter in zip(pages, counters, strict=True)]


def without_mentions(text: str) -> str:
    """Return a text that mentions nobody in a chat: an invisible character follows each sign that begins a mention.

    >>> ascii(without_mentions("@everyone, <@&42> and me@all.example"))
    "'@\\\\u200beveryone, <@\\\\u200b&42> and me@\\\\u200ball.example'"
    >>> ascii(without_mentions("(@alice) mailed bob@example.com"))
    "'(@\\\\u200balice) mailed bob@example.com'"
    """
    return _MENTION.sub("\\g<0>\u200b", text)


def _without_mentions_in(notice: QueuedNotice) -> QueuedNotice:
    return replace(notice, title=without_mentions(notice.title), text=without_mentions(notice.text))


def _title(page: Sequence[QueuedNotice]) -> str:
    return page[0].title if len(page) == 1 else f"PainChain: {len(page)} events"


def _text(page: Sequence[QueuedNotice]) -> str:
    return "\n\n".join(notice.text for notice in page)


def _message(page: Sequence[QueuedNotice], counter: str, limits: Limits) -> Message:
    title, text = _title(page) + counter, _text(page)
    if not limits.fits_title(title):
        title = _shorten(_title(page), f"…{counter}", limits.fits_title)
    if not limits.fits(title, text):
        text, _, author = text.rpartition("\n")
        ends = (f"{SHORTENED}\n{author}", SHORTENED)
        end = next((end for end in ends if limits.fits(title, text[:MIN_TEXT] + end)), SHORTENED)
        text = _shorten(text, end, lambda shortened: limits.fits(title, shortened))
    return Message(title, text, [notice.id for notice in page])


def _shorten(text: str, end: str, fits: Callable[[str], bool]) -> str:
    """Return the longest start of a text that fits with `end` behind it.

    >>> _shorten("Deleted the connector", "…", lambda text: len(text) <= 8)
    'Deleted…'
    """
    length = bisect_left(range(len(text)), True, key=lambda number: not fits(text[: number + 1] + end))
    return text[:length].rstrip() + end
