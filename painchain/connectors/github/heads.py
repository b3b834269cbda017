"""Compare the heads of branches, where a server or a token has no list of activities. Who pushed is not known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, objects, text
from painchain.connectors.contract import PollError
from painchain.connectors.github.client import REFUSED, GitHubClient
from painchain.connectors.github.events.pushes import Push, moved
from painchain.connectors.github.repository import Repository

MAX_HEADS = 1_000
EMPTY_REPOSITORY = 409


class HeadReader:
    """Reads the heads of the branches of one repository. `state` is its part of the cursor."""

    def __init__(self, api: GitHubClient, repository: Repository, state: dict[str, Any], followed: list[str]):
        self._api = api
        self._repository = repository
        self._state = state
        self._followed = followed

    def read(self, time: datetime) -> list[tuple[Push, bool]]:
        """Return the moves since the previous poll, at `time`. True: the branch is read for the first time.

        :raises PollError: if neither all branches nor the followed ones can be read.
        """
        known = stored if isinstance(stored := dig(self._state, "heads"), dict) else None
        try:
            heads, is_complete = self._read(known)
        except PollError as error:
            if error.status == EMPTY_REPOSITORY:
                return []
            raise
        moves = []
        for branch in sorted({*(known or {}), *heads}):
            before, after = text(known, branch), text(heads, branch)
            if known is not None and (before or (is_complete and len(known) < MAX_HEADS)):
                moves += [(moved(branch, before, after, time), False)] if before != after else []
            elif branch in self._followed:
                moves.append((Push(branch, "", after, time), True))
        self._state["heads"] = dict(list(heads.items())[:MAX_HEADS])
        return moves

    def _read(self, known: dict[str, str] | None) -> tuple[dict[str, str], bool]:
        """Return the heads of all branches; of the followed ones, and False, where there is no list of references."""
        path = f"{self._repository.path}/git/matching-refs/heads"
        if not self._state.get("no_references"):
            try:
                response = self._api.get(path) if known is None else self._api.get_changed(path, path)
            except PollError as error:
                if error.kind not in REFUSED:
                    raise
                self._state["no_references"] = True
            else:
                if response.is_unchanged:
                    return dict(known or {}), True
                self._api.store_etag(path, response)
                rows = [(text(row, "ref"), text(row, "object", "sha")) for row in objects(response.value)]
                beginning = "refs/heads/"
                return {ref.removeprefix(beginning): sha for ref, sha in rows if ref.startswith(beginning)}, True
        return self._read_followed(known or {}), False

    def _read_followed(self, known: dict[str, str]) -> dict[str, str]:
        heads = dict(known)
        for branch in self._followed:
            path, params = f"{self._repository.path}/commits", {"sha": branch, "per_page": 1}
            key = f"{path} {branch}"
            response = self._api.get_changed(key, path, params) if branch in known else self._api.get(path, params)
            if not response.is_unchanged:
                heads[branch] = text(response.value, 0, "sha")
                self._api.store_etag(key, response)
        return heads
