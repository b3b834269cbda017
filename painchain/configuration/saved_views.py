"""Save, change and delete views of the timeline, which are named filters; each change is audited with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select

from painchain.audit import event_kinds
from painchain.audit.diff import Change, diff
from painchain.audit.trail import Trail
from painchain.configuration import named_rows
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.configuration.named_rows import created, is_taken, refuse_stale, touch
from painchain.connectors.base import Field, FieldError, Kind
from painchain.core.redaction import scrub
from painchain.database.models import SavedView, StartPage
from painchain.database.session import db
from painchain.timeline.filter import DEFAULT_RANGE, BadFilter, parse_filter, parse_time
from painchain.timeline.saved_views import is_of, is_visible

MAX_VIEWS = 100  # of one person, and of everybody
MAX_PARAMETERS = 200
UTC_ZONE = ZoneInfo("UTC")
EVERYBODY = "everybody"
DATES = ("start_date", "end_date")
TIMES = (*DATES, "t0")  # t0 is the time from which the rows count

NAME = Field("name", "Name", Kind.TEXT, required=True, max_length=100, help="Shown in the Views menu.")
FILTER = Field(
    "filter",
    "Filter",
    Kind.TEXT,
    required=True,
    max_length=2000,
    help="As in the address of the timeline, after the question mark. To replace it, filter the timeline and select "
    "Views, Save this view.",
)
SHARED = Field("shared", "For everybody", Kind.CHECKBOX, default=False, help="Otherwise only you see it.")
FIELDS = (NAME, FILTER, SHARED)


class NotForRole(ChangeRefused):
    """A viewer wants to change a view that everybody sees."""

    def __init__(self) -> None:
        super().__init__("Nothing was saved. Views for everybody need the editor role. You can save your own views.")


@dataclass(frozen=True)
class Member:
    """Who saves a view: their account (None without accounts), their name, and whether they may change shared views."""

    person_id: int | None
    name: str
    may_share: bool


def get(view_id: int, member: Member) -> SavedView | None:
    """Return the view with this ID, or None if there is none that this person sees."""
    return db.session.scalar(select(SavedView).where(SavedView.id == view_id, is_visible(member.person_id)))


def list_all(member: Member) -> list[SavedView]:
    """Return the views that a person sees: their own first, each group by name."""
    query = select(SavedView).where(is_visible(member.person_id))
    return list(
        db.session.scalars(query.order_by(SavedView.owner_id.is_(None), func.lower(SavedView.name), SavedView.id))
    )


def start_view(member: Member) -> int | None:
    """Return the ID of the view that is a person's start page."""
    return db.session.scalar(select(StartPage.view_id).where(is_of(member.person_id)))


def values(view: SavedView | None) -> dict[str, Any]:
    """Return the current value of every field; for None, the values of a new view."""
    if view is None:
        return {"name": None, "filter": None, "shared": False}
    return {"name": view.name, "filter": view.filter, "shared": view.owner_id is None}


def create(submitted: Mapping[str, Any], names: Sequence[str], member: Member, trail: Trail) -> SavedView:
    """Save a view. `names` are the parameters that a filter can have.

    :raises InvalidValues: when a value is invalid, the name is taken or there are too many views.
    :raises NotForRole: when a viewer saves a view for everybody.
    """
    cleaned = _clean({**values(None), **submitted}, names, None, member, trail)
    owner_id = _owner_id(cleaned["shared"], member)
    if db.session.scalar(select(func.count()).where(_is_owned_by(owner_id))) >= MAX_VIEWS:  # type: ignore[operator]
        raise InvalidValues({NAME.key: f"There are already {MAX_VIEWS} views. Delete one first."})
    view = SavedView(
        name=cleaned["name"],
        filter=cleaned["filter"],
        owner_id=owner_id,
        **created(trail),
    )
    db.session.add(view)
    db.session.flush()
    trail.log(event_kinds.view_saved(view.name, view.filter, audience(view, member)))
    return view


def update(
    view: SavedView,
    submitted: Mapping[str, Any],
    names: Sequence[str],
    version: int | None,
    member: Member,
    trail: Trail,
) -> list[Change]:
    """Save new values and return the changes. Fields missing from `submitted` stay unchanged.

    :raises painchain.configuration.errors.StaleRow: when the view has another version; None skips the check.
    :raises InvalidValues: when a value is invalid or the name is taken.
    :raises NotForRole: when a viewer changes a view of everybody, or makes one.
    """
    refuse_stale(view, version)
    _refuse_for_role(view.owner_id, member)
    cleaned = _clean(submitted, names, view, member, trail)
    changes = diff(FIELDS, values(view), cleaned)
    if not changes:
        return []
    former_audience = audience(view, member)
    view.name, view.filter = cleaned.get("name", view.name), cleaned.get("filter", view.filter)
    if "shared" in cleaned and any(change.key == SHARED.key for change in changes):
        view.owner_id = _owner_id(cleaned["shared"], member)
        if view.owner_id is not None:  # others no longer see it
            others = StartPage.person_id != view.owner_id
            db.session.execute(delete_rows(StartPage).where(StartPage.view_id == view.id, others))
    touch(view, trail)
    db.session.flush()
    trail.log(event_kinds.view_changed(view.name, changes, former_audience, audience(view, member)))
    return changes


def delete(view: SavedView, version: int | None, member: Member, trail: Trail) -> None:
    """Delete a view. It is no longer anybody's start page.

    :raises painchain.configuration.errors.StaleRow: when the view has another version; None skips the check.
    :raises NotForRole: when a viewer deletes a view of everybody.
    """
    refuse_stale(view, version)
    _refuse_for_role(view.owner_id, member)
    trail.log(event_kinds.view_deleted(view.name, view.filter, audience(view, member)))
    db.session.execute(delete_rows(StartPage).where(StartPage.view_id == view.id))
    db.session.delete(view)
    db.session.flush()


def set_start(view: SavedView, is_start: bool, member: Member, trail: Trail) -> bool:
    """Make a view the start page of a person, or no longer; return whether that changed anything."""
    former_id = start_view(member)
    if is_start == (former_id == view.id):
        return False
    former = db.session.get(SavedView, former_id) if former_id else None
    db.session.execute(delete_rows(StartPage).where(is_of(member.person_id)))
    if is_start:
        db.session.add(StartPage(person_id=member.person_id, view_id=view.id))
        db.session.flush()
    label = f"Start page of {member.name}" if member.person_id is not None else "Start page"
    change = Change("start", label, Kind.TEXT.value, former.name if former else None, view.name if is_start else None)
    seen_by = audience(view, member)
    trail.log(event_kinds.view_changed(view.name, [change], seen_by, seen_by))
    return True


def audience(view: SavedView, member: Member) -> str:
    """Return who sees a view, as text."""
    return EVERYBODY if view.owner_id is None else member.name


def clean(submitted: Mapping[str, Any], names: Sequence[str], now: datetime) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the normalised values, and an error for each invalid field."""
    cleaned, errors = named_rows.clean(FIELDS, submitted)
    if cleaned.get(FILTER.key):
        try:
            cleaned[FILTER.key] = canonical(cleaned[FILTER.key], names, now)
        except (BadFilter, FieldError) as error:
            errors[FILTER.key] = str(error)
    return cleaned, errors


def canonical(text: str, names: Sequence[str], now: datetime) -> str:
    """Return the query string of a filter in its stored form: parameters in the order of `names`, times in UTC.

    :raises FieldError: when it is not a query string, or too long.
    :raises BadFilter: when it is not a filter.
    """
    try:
        pairs = parse_qsl(text.removeprefix("?"), errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise FieldError("Filter is not a query string such as tag=production&range=7d.") from None
    parameters: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in names:
            raise BadFilter(name, f"Unknown parameter {name[:50]!a}. Allowed: {', '.join(names)}.")
        if scrub(value) != value:
            raise FieldError("Filter must not contain a password or token: everybody can see it in the audit log.")
        parameters.setdefault(name, []).append(value)
    parse_filter(parameters, now, UTC_ZONE, DEFAULT_RANGE)
    for name in TIMES:
        parameters[name] = [_in_utc(value, name) for value in parameters.get(name, [])[:1] if value.strip()]
    if any(parameters[name] for name in DATES):
        parameters["range"] = []  # it would be ignored
    query = query_string(parameters, names)
    if len(query) > FILTER.max_length:
        raise FieldError(f"Filter can have at most {FILTER.max_length} characters, not {len(query)}.")
    return query


def _in_utc(text: str, name: str) -> str:
    """Return the time in a parameter in UTC, so that it means the same in each time zone."""
    return parse_time(text, name, UTC_ZONE).astimezone(UTC_ZONE).isoformat().replace("+00:00", "Z")


def query_string(parameters: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Return parameters as a query string that is never empty: it names the range, if it has no other times."""
    pairs = [(name, value) for name in names for value in parameters.get(name, ()) if value]
    if not any(name in ("range", *DATES) for name, _ in pairs):
        pairs.append(("range", DEFAULT_RANGE))
    return urlencode(pairs)


def _clean(
    submitted: Mapping[str, Any], names: Sequence[str], view: SavedView | None, member: Member, trail: Trail
) -> dict[str, Any]:
    cleaned, errors = clean(submitted, names, trail.now)
    if member.person_id is None:
        cleaned[SHARED.key] = True
    elif SHARED.key in cleaned:
        cleaned[SHARED.key] = bool(cleaned[SHARED.key])
    if cleaned.get(SHARED.key) and not member.may_share:
        raise NotForRole
    name = cleaned.get(NAME.key, view.name if view else None)
    is_shared = cleaned.get(SHARED.key, view is not None and view.owner_id is None)
    if name and is_taken(name, _names(_owner_id(is_shared, member)), view):
        errors[NAME.key] = f"A view named “{name}” already exists. Choose another name."
    if errors:
        raise InvalidValues(errors)
    return cleaned


def _names(owner_id: int | None) -> list[tuple[int, str]]:
    rows = db.session.execute(select(SavedView.id, SavedView.name).where(_is_owned_by(owner_id)))
    return [(number, name) for number, name in rows]


def _is_owned_by(owner_id: int | None) -> Any:
    return SavedView.owner_id.is_(None) if owner_id is None else SavedView.owner_id == owner_id


def _owner_id(is_shared: bool, member: Member) -> int | None:
    return None if is_shared else member.person_id


def _refuse_for_role(owner_id: int | None, member: Member) -> None:
    if owner_id is None and not member.may_share:
        raise NotForRole
