"""PainChain follows a GitHub at work, by polls and by webhooks."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import Delivery, PollContext, PollResult
from painchain.connectors.github import TYPE
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import completion, pending_events, poll_results, source_events, webhooks
from tests.counterparts.github import TOKEN
from tests.counterparts.github_model import START, GitHubModel

WORK: dict[str, Callable[[GitHubModel], None]] = {
    "push": lambda github: github.push(),
    "push to a branch": lambda github: github.push("fix"),
    "delete a branch": GitHubModel.delete_branch,
    "promote and roll back": GitHubModel.promote_and_roll_back,
    "open a pull request": GitHubModel.open_pull,
    "close or reopen": GitHubModel.toggle_pull,
    "merge": GitHubModel.merge_pull,
    "start a run": GitHubModel.start_run,
    "finish runs": GitHubModel.finish_run,
    "run again": GitHubModel.run_again,
    "deploy": GitHubModel.deploy,
    "change deployments": GitHubModel.change_deployments,
    "release nightly": GitHubModel.release_nightly,
    "draft a release": GitHubModel.draft_release,
    "publish a draft": GitHubModel.publish_draft,
    "promote a release": GitHubModel.promote_release,
    "demote a release": GitHubModel.demote_release,
    "publish an image": GitHubModel.publish_image,
    "publish an image under two tags": lambda github: github.publish_image(is_latest=True),
    "tag an image": GitHubModel.tag_image,
    "rename": GitHubModel.rename,
    "make anew": GitHubModel.recreate,
}
NUMBERS = itertools.count()


@dataclass
class PainChain:
    """Two servers that share a database and follow the model with one connector."""

    connector_id: int
    settings: dict[str, Any]
    secret: str
    cursor: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] = field(default_factory=dict)

    def poll(self, now: datetime, is_lost: bool = False, is_stale: bool = False) -> None:
        """Poll until nothing is left. The result can be lost in a crash, or the cursor be that of another server."""
        has_more, cursor = True, self.previous if is_stale else self.cursor
        while has_more:
            assert TYPE.poll
            result = TYPE.poll(self._context(cursor, now))
            if is_lost:
                return
            poll_results.store(self.connector_id, result, now)
            has_more, self.previous = result.has_more, self.cursor
            cursor = self.cursor = json.loads(json.dumps(result.cursor))

    def _context(self, cursor: dict[str, Any], now: datetime) -> PollContext:
        return PollContext(
            self.settings, cursor, now, connector_id=self.connector_id, recorded_facts=source_events.recorded_facts
        )

    def learn(self, now: datetime) -> None:
        """Learn the number of the repository from a poll whose events are not stored."""
        assert TYPE.poll
        self.cursor = TYPE.poll(self._context(self.cursor, now)).cursor
        poll_results.store(self.connector_id, PollResult([], self.cursor), now)

    def receive(self, topic: str, body: dict[str, Any], now: datetime, hook: str) -> None:
        """Receive a delivery: the same webhook sends it again with the same id, another one with another id."""
        raw = json.dumps(body).encode()
        headers = {
            "x-github-event": topic,
            "x-github-delivery": f"{hook} {hashlib.sha256(raw).hexdigest()}",
            "x-hub-signature-256": "sha256=" + hmac.new(self.secret.encode(), raw, hashlib.sha256).hexdigest(),
        }
        webhooks.receive(webhooks.find_webhook("github", self.connector_id), Delivery(headers, raw), now)

    def complete(self, now: datetime, is_reachable: bool) -> None:
        """Complete the events of deliveries through the API; if it cannot be reached, record them as they are."""
        for seconds in (0, 1, 3, 7, 15, 31, 63):
            later = now + timedelta(seconds=seconds)
            while claimed := pending_events.claim(later):
                if is_reachable:
                    completion.complete(claimed, lambda later=later: later)  # type: ignore[misc]
                else:
                    pending_events.record(claimed, replace(claimed.event, details=None), now)
        assert pending_events.count() == 0

    def events(self) -> list[tuple[datetime, str, str, str | None, str]]:
        """Return what the timeline shows: for an image, each tag that it has got."""
        db.session.rollback()
        query = select(ChangeEvent).where(ChangeEvent.connector_id == self.connector_id, ChangeEvent.source == "github")
        shown, tagged = list[tuple[datetime, str, str, str | None, str]](), dict[str, str]()
        for row in db.session.scalars(query.order_by(ChangeEvent.timestamp, ChangeEvent.id)):
            titles, digest = [row.title], row.event_metadata.get("digest")
            if row.event_type == "Image":
                tags = [tag for tag in row.event_metadata["tags"] if tagged.get(tag) != digest]
                tagged.update(dict.fromkeys(tags, digest))
                titles = [f"[Image] api:{tag}" for tag in tags]
            shown += [(row.timestamp, row.event_type, title, row.status, row.author) for title in titles]
        return shown


def install(url: str, repos: list[str]) -> PainChain:
    """Add a connector."""
    values = {"name": f"Model {next(NUMBERS)}", "base_url": url, "token": TOKEN, "repos": repos, "tags": []}
    with writer.writing() as event_log:
        trail = Trail(event_log, SYSTEM, "r", START)
        connector = connector_store.create(TYPE, values, True, trail)
        number, secret = connector.id, webhooks.set_secret(connector, trail)
    return PainChain(number, {**TYPE.defaults(), **values}, secret)
