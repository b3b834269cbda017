"""What connectors of code hosts share: branches, paths and four kinds of events."""

from painchain.connectors.base import EventType, Field, Kind, Shape, fields

# One part of a path: neither "." nor "..", which would lead elsewhere.
PATH_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]+"

BRANCHES = Field(
    "branches",
    "Branches",
    Kind.LIST,
    help="One per line. Empty: the default branch for commits, all branches for the rest.",
    item=r"[^\s,~^:?*\[\\]+",
    item_hint="a branch name",
)

SHARED_EVENT_TYPES = (
    EventType(
        "Release",
        "Release",
        fields(
            tag="Tag",
            prerelease=("Pre-release", Shape.YES_NO),
            draft=("Draft", Shape.YES_NO),
            assets=("Assets", Shape.LIST),
        ),
        "tag",
    ),
    EventType(
        "Commit",
        "Commit",
        fields(
            branch="Branch",
            sha=("SHA", Shape.SHA),
            changes=("Changes", Shape.LINES),
            files_changed=("Files changed", Shape.LIST),
        ),
        "commit",
    ),
    EventType(
        "Deployment",
        "Deployment",
        fields(
            environment="Environment",
            ref="Ref",
            sha=("SHA", Shape.SHA),
            state=("State", Shape.STATUS),
            creator="Creator",
        ),
        "rocket",
    ),
    EventType(
        "Image",
        "Image",
        fields(
            registry="Registry",
            image="Image",
            digest=("Digest", Shape.SHA),
            tags=("Tags", Shape.LIST),
            size=("Size", Shape.BYTES),
            package="Package",
            repository="Repository",
        ),
        "box",
    ),
)
