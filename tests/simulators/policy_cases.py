"""A policy with tests of its own, written to a folder, for tests of the tools that work on both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.policytools.suite import Suite, load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policy.compile import PolicyContext

POLICY = """\
resources:
  - name: order
    action: read
    match: {host: api.example.com, path: "/orders/{order}", methods: [GET]}
    preflight: true
    attributes: {order: path.order}
  - name: order
    action: ship
    match: {host: api.example.com, path: "/orders/{order}/shipment", methods: [POST]}
    attributes:
      order: path.order
      speed: {from: body.speed, one_of: [slow, fast]}
      note: {from: query.note, optional: true}
  - name: status
    action: read
    match: {host: api.example.com, path: /status, methods: [GET]}
    credential: none
guards:
  - id: recent
    on: order.ship
    require:
      - step_up: {max_age: 5m}
forbids:
  - id: no-secret-orders
    on: order.read
    when: resource.order == "secret"
    unless:
      - roles: [auditor]
permits:
  - id: readers
    who: {kind: [user, ci]}
    may: order.read
    require:
      - scopes: [orders.read]
  - id: shippers
    who: {roles: [shipper]}
    may: order.ship
  - id: anyone-sees-the-status
    who: {kind: [anonymous]}
    may: status.read
"""

CASES = """\
requests:
  read: {host: api.example.com, path: /orders/7}
  ship: {method: POST, host: api.example.com, path: /orders/7/shipment, body: {speed: slow}}
identities:
  reader: {kind: user, subject: ann, client: shop, scopes: [orders.read]}
  auditor: {like: reader, roles: [auditor]}
  shipper: {kind: user, subject: bob, roles: [shipper], auth_time: -1m}
tests:
  - {name: read, request: read, identity: reader, expect: allow}
  - {name: no credential, request: read, expect: no_credentials}
  - {name: no scope, request: read, identity: {like: reader, scopes: []}, expect: insufficient_scope}
  - {name: no service, request: read, identity: {like: reader, kind: service}, expect: no_permit}
  - {name: secret, request: {like: read, path: /orders/secret}, identity: reader, expect: forbidden}
  - {name: audited, request: {like: read, path: /orders/secret}, identity: auditor, expect: allow}
  - {name: ship, request: ship, identity: shipper, expect: allow}
  - {name: old, request: ship, identity: {like: shipper, auth_time: -6m}, expect: step_up_required}
  - {name: no shipper, request: ship, identity: {like: shipper, roles: []}, expect: role_missing}
  - {name: speed, request: {like: ship, body: {speed: warp}}, identity: shipper, expect: unreadable_body}
  - {name: status, request: {host: api.example.com, path: /status}, expect: allow}
  - {name: nowhere, request: {host: api.example.com, path: /nowhere}, expect: no_resource}
"""


def no_settings(path: Path) -> PolicyContext:
    """Stand for the settings that tests in a file may name; these do not."""
    raise AssertionError(path)


def write_suite(folder: Path, cases: str = CASES, policy: str = POLICY) -> Path:
    """Write a policy and its tests to a folder; return the path of the tests."""
    (folder / "orders.yaml").write_text(policy, encoding="utf-8")
    tests = folder / "orders_test.yaml"
    tests.write_text(cases, encoding="utf-8")
    return tests


def suite_in(folder: Path, cases: str = CASES, policy: str = POLICY) -> Suite:
    """Return a policy with its tests, written to a folder and loaded from there."""
    return load_suite(write_suite(folder, cases, policy), no_settings)
