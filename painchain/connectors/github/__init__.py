"""GitHub: repositories, their pull requests, runs, releases, commits, deployments and images."""

from painchain.connectors.base import ConnectorType, EventType, Field, Kind, Shape, fields, poll_interval
from painchain.connectors.code_hosts import BRANCHES, PATH_PART, SHARED_EVENT_TYPES
from painchain.connectors.event_group import EventGroup, GroupRole
from painchain.connectors.github import connection_test, followed, poll, webhook
from painchain.connectors.outcomes import StatusWords
from painchain.connectors.token_scopes import TokenScopes

TYPE = ConnectorType(
    key="github",
    label="GitHub",
    summary="Pushes, pull requests, workflow runs, releases, commits, deployments and images of your repositories.",
    icon="github",
    colour="violet",
    fields=(
        Field(
            "base_url",
            "API URL",
            Kind.URL,
            "https://api.github.com",
            True,
            help="For GitHub Enterprise Server: https://HOST/api/v3. All requests go to this host.",
        ),
        Field(
            "token",
            "Token",
            Kind.SECRET,
            required=True,
            max_length=10_000,
            help="A personal access token, classic or fine-grained.",
            scopes=(
                TokenScopes(
                    "Fine-grained",
                    ("Metadata", "Contents", "Pull requests", "Actions", "Deployments"),
                    "read-only; no container images",
                ),
                TokenScopes("Classic", ("repo", "read:packages"), "for public repositories none"),
            ),
            document="connectors/github.md#token",
        ),
        poll_interval(60, "How often to poll GitHub (60–3600 s)."),
        Field(
            "repos",
            "Repositories",
            Kind.LIST,
            help="One owner/name per line. Empty: every repository the token can see.",
            item=f"{PATH_PART}/{PATH_PART}",
            item_hint="of the form owner/name",
        ),
        BRANCHES,
    ),
    event_types=(
        EventType(
            "PullRequest",
            "Pull request",
            fields(
                repository="Repository",
                branches=("Branches", Shape.BRANCHES),
                changes=("Changes", Shape.LINES),
                reviewers=("Reviewers", Shape.LIST),
                approvals="Approvals",
                changes_requested="Changes requested",
                comments="Comments",
                merged=("Merged", Shape.YES_NO),
                files_changed=("Files changed", Shape.LIST),
                files_total="Files in total",
            ),
            "pull-request",
        ),
        EventType(
            "WorkflowRun",
            "Workflow run",
            fields(
                repository="Repository",
                status=("Status", Shape.STATUS),
                duration=("Duration", Shape.SECONDS),
                branch="Branch",
                commit=("Commit", Shape.SHA),
                trigger="Trigger",
                run_number="Run number",
                failed_jobs=("Failed jobs", Shape.LIST),
                logs_url=("Logs", Shape.LINK),
            ),
            "run",
            # The ids start with host, connector, repository, "run", its number and its attempt.
            group=EventGroup("state", GroupRole.PEER, id_parts=6),
        ),
        *SHARED_EVENT_TYPES,
    ),
    poll=poll.poll,
    test_connection=connection_test.run_test,
    webhook=webhook.HANDLER,
    followed=followed.repositories,
    statuses=StatusWords(
        good="success successful succeeded passed completed merged published approved active fixed released",
        bad="failure failed error errored timed_out startup_failure broken",
        running="in_progress pending queued requested waiting",
        open="open opened reopened action_required prerelease draft",
        neutral="cancelled skipped closed neutral inactive stale destroyed",
    ),
)
