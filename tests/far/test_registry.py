"""A real image registry: of the deliveries that one push sends, only that of the tag makes an event."""

from __future__ import annotations

from pathlib import Path

from tests.far.conftest import Hook
from tests.far.programs import Registry, require, until


def test_a_pushed_image_makes_one_event_of_three_deliveries(hook: Hook, tmp_path: Path) -> None:
    require("docker-registry", "skopeo")
    url, secret = hook.add("docker_registry")
    registry = Registry(tmp_path, url, secret)
    with registry.running():
        digest = registry.push("shop/cart:1.4.2")
        until(lambda: registry.accepted() >= 3, "the deliveries of the layer, the configuration and the tag")
        [event] = hook.events()
    assert (event["event_type"], event["title"]) == ("Release", "Pushed shop/cart:1.4.2")
    facts = {name: event["metadata"].get(name) for name in ("service", "version", "digest", "repository", "status")}
    assert facts == {
        "service": "cart",
        "version": "1.4.2",
        "digest": digest,
        "repository": "shop/cart",
        "status": "published",
    }
    of_the_tag, of_a_layer = hook.deliveries()[:2]
    assert (of_the_tag["events"], of_the_tag["payload"]["events"][0]["target"]["tag"]) == (1, "1.4.2")
    assert (of_a_layer["events"], "Only the push of a tag is recorded" in of_a_layer["reason"]) == (0, True)
    assert len(hook.rows()) == 1
