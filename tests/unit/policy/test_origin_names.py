"""Where an attribute is read, as records name it."""

from __future__ import annotations

import pytest

from tests.simulators.policies import compile_text, json_body, make_request

POLICY = """\
resources:
  - name: order
    action: write
    match: {host: api.example.com, path: "/orders/{order}", methods: [POST]}
    body: BODY
    attributes:
      order: path.order
      tier: {value: gold}
      page: query.page
      kind: header.x-kind
      size: body.SIZE
      zone: context.zone
"""


@pytest.mark.parametrize(
    ("body", "size", "place"), [("json", "box.size", "body.box.size"), ("form", "size", "form.size")]
)
def test_every_place_but_path_and_fixed_value_is_named(body: str, size: str, place: str) -> None:
    """In the words of the policy file, a form apart from JSON; what the path shows needs no name."""
    ruleset = compile_text(POLICY.replace("BODY", body).replace("SIZE", size))
    route = ruleset.route(make_request("POST", "api.example.com/orders/7", **json_body(b"{}")))
    assert dict(route.target.read_from) == {
        "page": "query.page",
        "kind": "header.x-kind",
        "size": place,
        "zone": "context.zone",
    }
    assert (route.target.verify, route.target.credential) == ("default", "bearer")
