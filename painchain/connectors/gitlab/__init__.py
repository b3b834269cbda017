"""GitLab: projects, their pushes, commits, merge requests, pipelines, releases, deployments and images."""

from painchain.connectors.base import ConnectorType, EventType, Field, Kind, Shape, fields, poll_interval
from painchain.connectors.code_hosts import BRANCHES, PATH_PART, SHARED_EVENT_TYPES
from painchain.connectors.event_group import EventGroup, GroupRole
from painchain.connectors.gitlab import connection_test, followed, poll, webhook
from painchain.connectors.outcomes import StatusWords
from painchain.connectors.token_scopes import TokenScopes

TYPE = ConnectorType(
    key="gitlab",
    label="GitLab",
    summary="Pushes, merge requests, pipelines, releases, commits, deployments and images of your projects.",
    icon="gitlab",
    colour="orange",
    fields=(
        Field("base_url", "GitLab URL", Kind.URL, "https://gitlab.com", True, help="Self-managed GitLab works too."),
        Field(
            "token",
            "Token",
            Kind.SECRET,
            required=True,
            max_length=10_000,
            help="An access token with the scope read_api.",
            scopes=(TokenScopes("Scope", ("read_api",), "and at least the role Reporter"),),
            document="connectors/gitlab.md#token",
        ),
        poll_interval(60, "How often to poll GitLab (60–3600 s)."),
        Field(
            "projects",
            "Projects",
            Kind.LIST,
            help="One numeric id or group/project path per line. Empty: the projects that the token's user is a member "
            "of, with activity in the last 30 days.",
            item=f"[0-9]+|{PATH_PART}(/{PATH_PART})+",
            item_hint="a numeric id or a path of the form group/project",
        ),
        BRANCHES,
    ),
    event_types=(
        EventType(
            "MergeRequest",
            "Merge request",
            fields(
                repository="Repository",
                branches=("Branches", Shape.BRANCHES),
                approved_by=("Approved by", Shape.LIST),
                approvals="Approvals",
                comments="Comments",
                votes="Votes",
                merged=("Merged", Shape.YES_NO),
                files_changed=("Files changed", Shape.LIST),
                files_total="Files in total",
            ),
            "pull-request",
        ),
        EventType(
            "Pipeline",
            "Pipeline",
            fields(
                repository="Repository",
                status=("Status", Shape.STATUS),
                duration=("Duration", Shape.SECONDS),
                ref="Ref",
                commit=("Commit", Shape.SHA),
                source="Source",
                pipeline_id="Pipeline id",
                failed_jobs=("Failed jobs", Shape.LIST),
                logs_url=("Logs", Shape.LINK),
            ),
            "run",
            # The ids start with host, connector, project, "pipeline" and its number; a retry keeps it.
            group=EventGroup("state", GroupRole.PEER, id_parts=5),
        ),
        *SHARED_EVENT_TYPES,
    ),
    poll=poll.poll,
    test_connection=connection_test.run_test,
    webhook=webhook.HANDLER,
    followed=followed.projects,
    statuses=StatusWords(
        good="success passed merged published approved finished",
        bad="failed",
        running="running pending preparing waiting_for_resource waiting_for_callback scheduled canceling",
        open="opened reopened manual draft",
        neutral="canceled skipped closed stopped",
    ),
)
