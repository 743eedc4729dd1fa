"""What a file of policy tests may say.

A file stands beside the policy that it tests: `orders_test.yaml` tests `orders.yaml`, or the folder `orders`, unless
`policy` names other files. Instants are RFC 3339 texts, or durations from the instant of the decision (`-5m`, `+1h`).
"""

from __future__ import annotations

import json
from enum import StrEnum  # noqa: TC003 — see above
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, WithJsonSchema

from extauthz.model.identity import Binding, Credential, Kind
from extauthz.model.reason import Reason
from extauthz.policy.document import Part, Text
from extauthz.validation import did_you_mean, wrong

DEFAULT_AT = "2030-01-01T12:00:00Z"
"""The instant of cases that name none: a fixed one, so that no test depends on when it is run."""

DEFAULT_ISSUER = "https://issuer.example"
"""Who vouches for callers of cases that do not say."""


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


Lines = Annotated[tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=str | tuple[str, ...])]
"""One text, or one for each line or parameter of the same name."""


def _known(vocabulary: type[StrEnum], noun: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """Return what makes a text a member of a closed vocabulary, for pydantic and for editors."""
    words = [member.value for member in vocabulary]

    def known(value: object) -> object:
        if value not in words:
            message = f"there is no such {noun}"
            raise wrong(message, did_you_mean(str(value), words))
        return value

    return BeforeValidator(known), WithJsonSchema({"enum": words})


KindName = Annotated[str, *_known(Kind, "kind of caller")]
ReasonCode = Annotated[str, *_known(Reason, "reason")]
Labels = Annotated[tuple[Text, ...], BeforeValidator(_texts, json_schema_input_type=str | tuple[str, ...])]


class RequestForm(Part):
    """A request as Envoy would show it."""

    like: Text | None = Field(default=None, description="Take what is not said here from the request of this name.")
    method: Text = Field(default="GET", description="As sent.")
    host: str = Field(default="", description="As sent, with a port other than the default.")
    path: str = Field(default="", description="As sent; it may carry the query.")
    query: dict[str, Lines] = Field(default={}, description="Parameters; they are encoded and added to the path.")
    headers: dict[Text, Lines] = Field(default={}, description="Header lines by name.")
    body: Any = Field(default=None, description="Text is sent as it is; a mapping or list is sent as JSON.")
    form: dict[str, Lines] = Field(default={}, description="A body of `application/x-www-form-urlencoded`.")
    partial: StrictBool = Field(default=False, description="Envoy could not buffer the whole body.")
    merged_headers: StrictBool = Field(default=False, description="Envoy joins lines (`encode_raw_headers: false`).")
    context: dict[str, str] = Field(default={}, description="`context_extensions` of the route in Envoy.")
    source: str = Field(default="192.0.2.10", description="Address of the connection.")
    principal: str = Field(default="", description="Peer of the connection, as Envoy names it.")
    sni: str = Field(default="", description="Server name of the TLS session.")


class PartyForm(Part):
    """One party of a delegation."""

    kind: KindName | None = None
    subject: Text = Field(default="somebody", description="Unique within its issuer.")
    issuer: Text = Field(default=DEFAULT_ISSUER)
    client: str = ""
    roles: Labels = ()


class RegistrationForm(Part):
    """An entry of the registry; one that is disabled or ended never gets as far as policy."""

    name: Text
    owner: str = ""
    purpose: str = ""
    environment: str = ""
    peer_group: str = ""


class IdentityForm(PartyForm):
    """A caller, taken as proven."""

    like: Text | None = Field(default=None, description="Take what is not said here from the caller of this name.")
    actor: PartyForm | None = Field(default=None, description="Who acts for the subject.")
    chain: tuple[PartyForm, ...] = Field(default=(), description="Earlier actors, most recent first.")
    tenant: str = ""
    session: str = ""
    scopes: Labels = ()
    groups: Labels = ()
    acr: str = ""
    amr: Labels = ()
    auth_time: str | None = Field(default=None, description="Instant of the sign-in.")
    issued_at: str | None = Field(default=None, description="Instant at which the credential was issued.")
    expires_at: str | None = Field(default=None, description="Instant at which the credential ends.")
    token_id: str = ""
    workload: str = Field(default="", description="Stable key of the caller; `issuer|client or subject` if not said.")
    environment: str = Field(default="", description="Where the caller runs.")
    device: str = Field(default="", description="Stable id of the device.")
    authorization_details: tuple[dict[str, Any], ...] = Field(default=(), description="Rights as RFC 9396 objects.")
    credential: Annotated[str, *_known(Credential, "credential")] | None = Field(
        default=None, description="How the caller proved itself; as the resource asks if not said."
    )
    binding: Annotated[str, *_known(Binding, "binding")] = Field(
        default="none", description="What ties the credential to its sender."
    )
    transaction: str = Field(default="", description="`txn` of a transaction token that came along.")
    transaction_scopes: Labels = ()
    transaction_workloads: Labels = ()
    registration: RegistrationForm | None = Field(default=None, description="What the registry declares.")
    checked_at: str | None = Field(default=None, description="Instant at which the issuer was last asked about it.")
    profile: str = Field(default="", description="Verification profile; the one of the resource if not said.")
    claims: dict[str, Any] = Field(default={}, description="Verified claims.")


class ExpectForm(Part):
    """What must come out; what is not said is not looked at."""

    outcome: Literal["allow", "deny"]
    reason: ReasonCode | None = None
    rule: str | None = Field(default=None, description="The rule that decided.")
    resource: str | None = Field(default=None, description="The `resource.action` that the request means.")
    status: StrictInt | None = Field(default=None, description="HTTP status of a denial.")
    detail: str | None = Field(default=None, description="Sentence for the client.")
    remedies: tuple[dict[str, Any], ...] | None = Field(default=None, description="All of them, as they are published.")
    challenge: str | None = Field(default=None, description="Part of `www-authenticate`; empty text: there is none.")
    response_headers: dict[str, str | None] = Field(
        default={}, description="Headers of the answer to the client; null: not there."
    )
    upstream_headers: dict[str, str | None] = Field(
        default={}, description="Headers that an allowed request gets; null: not set."
    )
    removed_headers: Labels = Field(default=(), description="Headers that do not reach the upstream.")
    record: dict[str, Any] = Field(
        default={}, description="Members of the decision record; mappings may name some members only; null: not there."
    )


def _expectation(value: object) -> object:
    """Read `allow`, or a reason code, as a whole expectation."""
    if value == "allow":
        return {"outcome": "allow"}
    if isinstance(value, str):
        return {"outcome": "deny", "reason": value}
    return value


def _named(value: object) -> object:
    """Read a name as something that is like what has that name."""
    return {"like": value} if isinstance(value, str) else value


class AnswerForm(Part):
    """What another decision point answers (AuthZEN 1.0)."""

    decision: StrictBool
    context: dict[str, Any] = Field(default={}, description="What it adds: `acr_values`, `obligations`.")


class CaseForm(Part):
    """One test."""

    name: Text = Field(description="What is shown; unique in its file.")
    request: Annotated[RequestForm, BeforeValidator(_named, json_schema_input_type=str | RequestForm)] = Field(
        description="A request, or the name of one under `requests`."
    )
    identity: Annotated[IdentityForm, BeforeValidator(_named, json_schema_input_type=str | IdentityForm)] | None = (
        Field(default=None, description="A caller, or the name of one under `identities`; none presents no credential.")
    )
    at: Text | None = Field(default=None, description="Instant of the decision.")
    state: dict[str, dict[str, Any]] = Field(
        default={}, description="Changeable facts: kind, then whose, then the fact. What is not here is not known."
    )
    answers: dict[Text, AnswerForm] = Field(
        default={}, description="What other decision points answer, by name. What is not here does not answer."
    )
    expect: Annotated[ExpectForm, BeforeValidator(_expectation, json_schema_input_type=str | ExpectForm)] = Field(
        description="What must come out: `allow`, a reason code, or in detail."
    )


class SuiteForm(Part):
    """A file of policy tests."""

    policy: Labels | None = Field(default=None, description="Policy files or folders, from this file's folder.")
    settings: Text | None = Field(default=None, description="Settings file: names of profiles, the `acr` table.")
    at: Text = Field(default=DEFAULT_AT, description="Instant of the decisions where a case names none.")
    requests: dict[str, RequestForm] = Field(default={}, description="Requests by name.")
    identities: dict[str, IdentityForm] = Field(default={}, description="Callers by name.")
    tests: Annotated[tuple[CaseForm, ...], Field(min_length=1)]


def schema_text() -> str:
    """Return the JSON Schema of a file of policy tests, for editors."""
    schema = SuiteForm.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:extauthz:schema:policy-tests"}
    return json.dumps({**head, **schema, "title": "Policy tests"}, indent=2) + "\n"
