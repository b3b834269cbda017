"""The made-up company of the demo: people, services, and the numbers and hashes that its systems give out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from random import Random
from typing import NamedTuple

from painchain.connectors.contract import SourceEvent

AUTHORS = tuple(f"demo-{name}" for name in ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"))
RARE = "demo-zoe"
ADMINS = AUTHORS[:3]
ON_CALL = "demo-carol"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GITHUB, GITLAB = "Demo GitHub", "Demo GitLab"
SILENT = GITLAB  # it falls silent
PRODUCTION, STAGING, EDGE = "Demo production cluster", "Demo staging cluster", "Demo edge cluster"
GITHUB_HOST, GITLAB_HOST = "github.demo.invalid", "gitlab.demo.invalid"
NAMESPACE = "shop"
CLUSTERS = {PRODUCTION: "production", STAGING: "staging", EDGE: "edge"}

# Title, branch and kind of file of what people work on.
WORK = (
    ("Fix retry loop", "fix/retry", "client"),
    ("Raise memory limit", "ops/memory-limit", "deploy"),
    ("Add health check", "feature/health", "server"),
    ("Rotate certificates", "ops/certificates", "deploy"),
    ("Speed up the start page", "perf/start-page", "views"),
    ("Update dependencies", "deps/weekly", "deps"),
    ("Log slow queries", "feature/slow-queries", "database"),
    ("Drop unused index", "db/drop-index", "database"),
    ("Cache avatars", "perf/avatars", "views"),
    ("Handle empty carts", "fix/empty-cart", "views"),
    ("Show delivery times in the local time zone", "fix/time-zone", "views"),
    ("Retry webhooks of the payment provider", "fix/webhooks", "client"),
    ("Validate postal codes", "feature/postal-codes", "validation"),
    ("Limit requests per customer", "feature/rate-limit", "server"),
    ("Send invoices as PDF", "feature/invoices", "documents"),
    ("Remove the old discount rules", "chore/discounts", "rules"),
    ("Translate order mails", "feature/translations", "documents"),
    ("Use prepared statements", "perf/prepared", "database"),
    ("Make timeouts configurable", "feature/timeouts", "config"),
    ("Count failed logins", "feature/failed-logins", "server"),
    ("Show the stock of each size", "feature/stock", "views"),
    ("Stop the search from matching drafts", "fix/drafts", "rules"),
    ("Reject orders without an address", "fix/address", "validation"),
    ("Page through long order lists", "perf/pages", "database"),
    ("Name the carrier in order mails", "feature/carrier", "documents"),
    ("Lower the log level of health checks", "chore/log-level", "config"),
    ("Test refunds of partial orders", "test/refunds", "client"),
    ("Compress responses", "perf/compression", "server"),
    ("Allow gift cards", "feature/gift-cards", "rules"),
    ("Close idle connections", "fix/idle-connections", "database"),
    ("Build with one worker less", "ops/workers", "deploy"),
    ("Explain declined payments", "feature/declined", "client"),
)
COMMITS = ("Add a test for {kind}", "Address review comments", "Simplify {kind}", "Document {kind}", "Fix lint")


@dataclass
class Service:
    """A service of the company. `host` is the connector of its code, `head` the newest commit of its main branch."""

    name: str
    repository: str
    number: int
    host: str
    team: tuple[str, ...]
    head: str = ""
    minor: int = 0
    busy_until: datetime = EPOCH

    def __post_init__(self) -> None:
        self.first_minor = self.minor

    @property
    def image(self) -> str:
        """The image without its tag."""
        registry = f"containers.{GITHUB_HOST}" if self.host == GITHUB else f"registry.{GITLAB_HOST}"
        return f"{registry}/{self.repository}"

    @cached_property
    def url(self) -> str:
        """The page of the repository."""
        return f"https://{GITHUB_HOST if self.host == GITHUB else GITLAB_HOST}/{self.repository}"


def services() -> list[Service]:
    """Return the services as they are before the first event."""
    on_github = ("checkout", "api", "storefront", "search", "payments")
    on_gitlab = ("platform/mailer", "platform/reports", "platform/gateway")
    teams = (AUTHORS[:4], AUTHORS[2:6], AUTHORS[4:])
    return [
        *(
            Service(name, f"shop/{name}", 710_001 + index, GITHUB, teams[index % 3], minor=20 + 7 * index)
            for index, name in enumerate(on_github)
        ),
        *(
            Service(path.partition("/")[2], path, 501 + index, GITLAB, teams[(index + 2) % 3], minor=4 + 5 * index)
            for index, path in enumerate(on_gitlab)
        ),
    ]


@dataclass
class Change:
    """One change of a service's code, from its pull request to its deployment. The steps fill in what they find out."""

    service: Service
    title: str
    branch: str
    kind: str
    author: str
    reviewer: str
    commits: int
    size: int
    number: int = 0
    before: str = ""
    shas: list[str] = field(default_factory=list)
    tag: str = ""

    @property
    def after(self) -> str:
        """The newest commit."""
        return self.shas[-1] if self.shas else self.service.head

    @property
    def files(self) -> list[str]:
        """The names of the changed files."""
        name = self.service.name
        special = {
            "deps": ["requirements.txt", "requirements-dev.txt"],
            "deploy": [f"deploy/{name}.yaml", "deploy/values.yaml"],
            "config": ["deploy/values.yaml", f"src/{name}/config.py", "docs/configuration.md"],
        }
        usual = [f"src/{name}/{self.kind}.py", f"tests/test_{self.kind}.py", "CHANGELOG.md", f"docs/{self.kind}.md"]
        files = special.get(self.kind, usual)
        return files[: 1 + self.size % len(files)]

    def message(self, index: int) -> str:
        """Return the message of the commit at `index`; the first one has the title of the change."""
        return COMMITS[(self.size + index) % len(COMMITS)].format(kind=self.kind) if index else self.title


class Step(NamedTuple):
    """One event of a source at its time. `make` returns it, when all earlier steps have been made."""

    at: datetime
    connector: str
    make: Callable[[], SourceEvent]


@dataclass
class Company:
    """The state of the company's systems. `base` keeps its numbers apart from those of an earlier demo in the log."""

    random: Random
    base: int
    services: list[Service] = field(default_factory=services)
    _counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for service in self.services:
            service.head = self.sha()

    def next(self, kind: str, start: int = 0) -> int:
        """Return the next number of a kind."""
        self._counts[kind] += 1
        return start + self.base + self._counts[kind]

    def digest(self) -> str:
        """Return a hash that no other object has: 64 hexadecimal digits."""
        return sha256(f"{self.base}/{self.next('hash')}".encode()).hexdigest()

    def sha(self) -> str:
        """Return the hash of a new commit."""
        return self.digest()[:40]

    def service(self, name: str) -> Service:
        """Return the service of this name."""
        return next(service for service in self.services if service.name == name)

    def change(self, service: Service, title: str = "", author: str = "") -> Change:
        """Return a change of a service: of this title, or of any."""
        work = next((work for work in WORK if work[0] == title), None) or self.random.choice(WORK)
        author = author or self.random.choices(service.team, (4, 3, 2, 1))[0]
        reviewers = [name for name in service.team if name != author]
        return Change(
            service,
            title or work[0],
            work[1],
            work[2],
            author,
            self.random.choice(reviewers),
            self.random.choices((1, 2, 3, 5), (5, 3, 2, 1))[0],
            self.random.randrange(1, 240),
        )


def stamp(time: datetime) -> str:
    """Return a time as APIs write it."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
