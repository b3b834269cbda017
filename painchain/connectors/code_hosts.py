"""What connectors of code hosts share: branches, paths and four kinds of events."""

from painchain.connectors.base import EventType, Field, Kind, fields

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
    EventType("Release", "Release", fields(tag="Tag", prerelease="Pre-release", draft="Draft", assets="Assets"), "tag"),
    EventType(
        "Commit",
        "Commit",
        fields(branch="Branch", sha="SHA", changes="Changes", files_changed="Files changed"),
        "commit",
    ),
    EventType(
        "Deployment",
        "Deployment",
        fields(environment="Environment", ref="Ref", sha="SHA", state="State", creator="Creator"),
        "rocket",
    ),
    EventType(
        "Image",
        "Image",
        fields(
            registry="Registry",
            image="Image",
            digest="Digest",
            tags="Tags",
            size="Size",
            package="Package",
            repository="Repository",
        ),
        "box",
    ),
)
