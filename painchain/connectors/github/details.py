"""Ask GitHub's API for what lists and webhooks leave out: reviews, files, failed jobs, comparisons and commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from painchain.connectors.code_hosts import dig, integer, objects, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.client import GitHubClient
from painchain.connectors.github.events import pulls, pushes, runs
from painchain.connectors.github.events.pushes import Push
from painchain.connectors.github.repository import Repository
from painchain.connectors.http_client import next_page

MANY = {"per_page": 100}
FILE_PAGES = 30  # of the files of one commit: GitHub lists at most 3,000


def pull_request(api: GitHubClient, repository: Repository, number: str) -> tuple[Any, dict[str, Any]]:
    """Return a pull request, {} if it is gone, and the facts of its reviews and files."""
    path = f"{repository.path}/pulls/{number}"
    pull = api.get_optional(path)
    pull = pull if isinstance(pull, dict) else {}
    reviews = read_list(api, f"{path}/reviews")
    files = read_list(api, f"{path}/files", limit=pulls.MAX_FILES + 1) or []
    facts = {**pulls.review_facts(pull, reviews), **pulls.file_facts(files, integer(pull, "changed_files"))}
    return pull, facts


def failed_jobs(api: GitHubClient, repository: Repository, run: Any) -> list[str]:
    """Return the names of the failed jobs of one attempt of a run; [] if the run did not fail."""
    if not runs.is_broken(run):
        return []
    path = f"{repository.path}/actions/runs/{text(run, 'id')}/attempts/{runs.attempt_of(run)}/jobs"
    return runs.failed_job_names(read_list(api, path, "jobs") or [])


def comparison_path(repository: Repository, push: Push) -> str:
    """Return the path of the comparison of both ends of a push; "" if there is nothing to compare.

    A new branch is compared with the default branch.
    """
    base = push.before or (repository.branch if push.branch != repository.branch else "")
    return f"{repository.path}/compare/{base}...{push.after}" if base and push.after else ""


def comparison(api: GitHubClient, repository: Repository, push: Push) -> Any:
    """Return the comparison of both ends of a push, with one commit at most; None if there is none."""
    path = comparison_path(repository, push)
    return api.get_optional(path, {"per_page": 1, "page": 1}) if path else None


def commit(api: GitHubClient, repository: Repository, sha: str, push: Push, listed: Any) -> SourceEvent:
    """Return the event of a commit with its lines and files; `listed` is the commit as a list has it."""
    path = f"{repository.path}/commits/{sha}"
    pages = list(_pages(api, path, {}, FILE_PAGES)) if sha else []
    if not pages or not text(pages[0], "sha"):
        return pushes.listed_commit(repository, listed, push)
    is_known = isinstance(dig(pages[0], "files"), list)
    files = [file for page in pages for file in objects(page, "files")] if is_known else None
    return pushes.listed_commit(repository, pages[0], push, files)


def read_list(api: GitHubClient, path: str, list_key: str = "", limit: int | None = None) -> list[Any] | None:
    """Return the objects of a list, to its last page or until there are `limit`; None if it is gone or forbidden."""
    items: list[Any] | None = None
    for page in _pages(api, path, MANY):
        items = (items or []) + (objects(page, list_key) if list_key else objects(page))
        if limit is not None and len(items) >= limit:
            break
    return items


def _pages(api: GitHubClient, path: str, params: Mapping[str, Any], limit: int | None = None) -> Iterator[Any]:
    """Yield the values of the pages at `path`; none if it is gone or forbidden."""
    response = api.get_response(path, params)
    count = 0
    while response is not None:
        yield response.value
        count += 1
        following = next_page(response)
        response = api.get_response(following) if following and count != limit else None
