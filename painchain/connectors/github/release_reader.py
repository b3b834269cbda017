"""Read releases: those that were published, promoted, demoted or deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, parse_time, strings, text
from painchain.connectors.github import details
from painchain.connectors.github.events import releases
from painchain.connectors.github.pagination import ListPosition, PollSession, read_since
from painchain.connectors.github.repository import Repository

MAX_RELEASES = 20  # the newest releases, whose deletion is noticed
MAX_NOTED = 200  # pre-releases whose promotion is noticed, and releases whose demotion is
# The parts of the state that have the ids of the releases that were last read with a status.
NOTED = {"prerelease": "prereleases", "published": "published"}


class ReleaseReader:
    """Reads the releases of one repository. `state` is its part of the cursor.

    `releases` are the tags of the newest releases by their id, `missing` those of the releases that were among them and
    are not listed any more.
    """

    def __init__(self, session: PollSession, repository: Repository, state: dict[str, Any]):
        self._session = session
        self._repository = repository
        self._state = state
        self._now = session.context.now
        self._path = f"{repository.path}/releases"
        if "published" not in state:  # an older version did not note them
            prereleases = strings(state, "prereleases")
            state["published"] = [number for number in self._tags("releases") if number not in prereleases]

    def read(self, position: ListPosition) -> None:
        """Read the releases that have changed, and notice which of the newest are gone."""
        listed, is_resumed, since = list[Any](), "next" in position, read_since(position)
        if "releases" not in self._state:
            self._session.api.forget_etags(self._path)  # an older version did not note which releases there are

        def changed_at(release: Any) -> datetime | None:
            if all(other is not release for other in listed):
                listed.append(release)
            return self._changed_at(release)

        for release in self._session.newest_first(position, self._path, details.MANY, changed_at):
            self.note(release, since)
        if self._path not in self._session.unchanged and not is_resumed:
            self._note_missing(listed)
        self._record_deleted()

    def note(self, release: Any, since: datetime) -> None:
        """Record a release that was published, promoted or demoted since a time."""
        changed_at = (parse_time(release, "updated_at") or self._now) if self._has_other_status(release) else None
        published_at = parse_time(release, "published_at")
        if changed_at or published_at is None or published_at >= since:
            self._session.add(*releases.published(self._repository, release, self._now, changed_at, since))
        self._note_status(release)

    def _note_status(self, release: Any) -> None:
        number = text(release, "id")
        for status, key in NOTED.items():
            others = [other for other in strings(self._state, key) if other != number]
            has_status = number and not releases.is_draft(release) and releases.status_of(release) == status
            self._state[key] = [*others, number][-MAX_NOTED:] if has_status else others

    def _has_other_status(self, release: Any) -> bool:
        """Return whether a release has become a pre-release, or is no longer one, since it was read last."""
        if releases.is_draft(release):
            return False
        number, status = text(release, "id"), releases.status_of(release)
        return any(number in strings(self._state, key) for other, key in NOTED.items() if other != status)

    def _changed_at(self, release: Any) -> datetime | None:
        """Return when a release last changed; None for a draft, which is no news."""
        if releases.is_draft(release):
            return None
        if self._has_other_status(release):
            return self._now
        times = [parse_time(release, key) for key in ("published_at", "updated_at")]
        return max((time for time in times if time), default=parse_time(release, "created_at"))

    def _note_missing(self, listed: list[Any]) -> None:
        """Note which of the newest releases are not listed any more, and what is listed now."""
        known = self._tags("releases")
        current = {text(release, "id"): release for release in listed if not releases.is_draft(release)}
        missing = {number: tag for number, tag in known.items() if number not in current}
        if missing:
            self._state["missing"] = {**self._tags("missing"), **missing}
        newest = list(current.items())[:MAX_RELEASES]
        self._state["releases"] = {number: text(release, "tag_name") for number, release in newest if number}
        noted = {number for key in NOTED.values() for number in strings(self._state, key)}
        for number, release in current.items():
            if number not in noted:
                self._note_status(release)

    def _record_deleted(self) -> None:
        """Record which of the missing releases are gone. A poll that ends earlier leaves the others to the next."""
        for number, tag in self._tags("missing").items():
            if self._session.api.get_optional(f"{self._path}/{number}") is None:
                is_prerelease = number in strings(self._state, "prereleases")
                gone = {"id": number, "tag_name": tag, "prerelease": is_prerelease}
                self._session.add(releases.deleted(self._repository, gone, "", self._now))
            del self._state["missing"][number]
        self._state.pop("missing", None)

    def _tags(self, key: str) -> dict[str, str]:
        tags = dig(self._state, key)
        return {number: text(tag) for number, tag in tags.items()} if isinstance(tags, dict) else {}
