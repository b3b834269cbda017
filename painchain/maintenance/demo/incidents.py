"""The three incidents of the demo. The cause of each is on the timeline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from painchain.maintenance.demo.company import GITLAB, ON_CALL, PRODUCTION, Step
from painchain.maintenance.demo.kubernetes import BY_HAND
from painchain.maintenance.demo.stories import MINUTE, SECOND, Stories

ISSUER, TIMEOUT = "cert-manager.io/cluster-issuer", "nginx.ingress.kubernetes.io/proxy-read-timeout"


def bad_deployment(stories: Stories, now: datetime) -> Iterator[Step]:
    """Yield a change of the checkout that crashes in production, and its rollback: the last three hours."""
    service = stories.company.service("checkout")
    host, cluster = stories.hosts[service.host], stories.clusters[PRODUCTION]
    change = stories.company.change(service, "Reuse connections to the payment provider", "demo-bob")
    change.branch, change.kind, change.reviewer, change.commits, change.size = "perf/pool", "client", "demo-dave", 2, 87
    at = now - 178 * MINUTE
    yield Step(at, host.connector, lambda: host.opened(change, at))
    yield from stories.merge(change, now - 118 * MINUTE)
    yield from stories.build(change, now - 117 * MINUTE)
    yield from stories.deploy(change, "staging", now - 106 * MINUTE)
    yield from stories.deploy(change, "production", now - 92 * MINUTE)
    for minutes, reason, restarts in ((85, "OOMKilled", 1), (82, "CrashLoopBackOff", 4), (80, "CrashLoopBackOff", 5)):
        crashed_at = now - minutes * MINUTE
        yield Step(crashed_at, PRODUCTION, partial(cluster.trouble, service.name, crashed_at, reason, restarts))
    yield from stories.run(change, "Smoke tests", now - 79 * MINUTE, 150 * SECOND, "checkout end to end", "schedule")
    rollback = stories.company.change(service, f"Revert “{change.title}”", ON_CALL)
    rollback.branch, rollback.kind, rollback.reviewer = "revert/pool", "client", "demo-bob"
    rollback.commits, rollback.size = 1, 88
    opened_at = now - 71 * MINUTE
    yield Step(opened_at, host.connector, lambda: host.opened(rollback, opened_at))
    yield from stories.merge(rollback, now - 66 * MINUTE)
    yield from stories.build(rollback, now - 65 * MINUTE)
    yield from stories.deploy(rollback, "production", now - 54 * MINUTE)
    yield from stories.run(rollback, "Smoke tests", now - 48 * MINUTE, 170 * SECOND, trigger="schedule")
    service.busy_until = now


def bad_configuration(stories: Stories, begin: datetime) -> Iterator[Step]:
    """Yield a timeout that somebody set too low in a cluster by hand, the runs that fail, and the revert."""
    cluster = stories.clusters[PRODUCTION]
    usual = {"LOG_LEVEL": "a", "PAYMENT_TIMEOUT": "b", "proxy-read-timeout": "c", "FEATURES": "d"}
    back_at, ingress_back_at = begin + 47 * MINUTE, begin + 48 * MINUTE
    low, low_at = {**usual, "proxy-read-timeout": cluster.mark()}, begin + 2 * MINUTE
    annotations = {ISSUER: "a", TIMEOUT: cluster.mark()}
    yield Step(begin, PRODUCTION, lambda: cluster.update("ConfigMap", "ingress-nginx", begin, BY_HAND, keys=low))
    yield Step(
        low_at,
        PRODUCTION,
        lambda: cluster.update("Ingress", "api", low_at, BY_HAND, annotations=annotations),
    )
    for name, minutes in (("api", 9), ("storefront", 14), ("api", 24), ("storefront", 29)):
        change = stories.company.change(stories.company.service(name))
        job = f"{name} end to end"
        yield from stories.run(change, "Smoke tests", begin + minutes * MINUTE, 140 * SECOND, job, "schedule")
    yield Step(back_at, PRODUCTION, lambda: cluster.update("ConfigMap", "ingress-nginx", back_at, BY_HAND, keys=usual))
    yield Step(
        ingress_back_at,
        PRODUCTION,
        lambda: cluster.update("Ingress", "api", ingress_back_at, BY_HAND, annotations={ISSUER: "a"}),
    )
    for name, minutes in (("api", 54), ("storefront", 59)):
        yield from stories.checks(begin + minutes * MINUTE, stories.company.service(name))


def last_before_silence(stories: Stories, silent_at: datetime) -> list[Step]:
    """Return the last pipeline before somebody lists the wrong projects, so that GitLab falls silent."""
    service = next(service for service in stories.company.services if service.host == GITLAB)
    change = stories.company.change(service)
    return stories.run(change, "", silent_at - 4 * MINUTE, timedelta(minutes=3), trigger="schedule")
