"""Answers that are joined from pieces, held against answers that the library built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse, OkHttpResponse
from extauthz.ids import DecisionId, new_decision_id
from extauthz.response.to_envoy import to_envoy
from extauthz.response.wire import HEADERS, RESPONSE_HEADERS, delimited, header_option, metadata_member
from tests.simulators.decisions import ALLOW, ISSUER, decision_of, request_with

if TYPE_CHECKING:
    from extauthz.model.decision import Decision


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_the_framing_is_that_of_the_library(size: int) -> None:
    """At the edges of one, two, three and four bytes of length."""
    payload = b"x" * size
    assert BytesValue.FromString(delimited(1, payload)).value == payload


NAMES = st.from_regex(r"[a-z-]{1,20}", fullmatch=True)
TEXTS = st.text(max_size=600) | st.text("\0", max_size=3) | st.integers(0, 20_000).map("x".__mul__)
"""Some that look like what a piece is remembered around, and some of every length that takes another framing."""


@given(NAMES, TEXTS, st.sampled_from([HEADERS, RESPONSE_HEADERS]))
def test_a_header_option_overwrites_whichever_field_envoy_reads(name: str, value: str, number: int) -> None:
    """It is what the library writes, whatever the name and the value."""
    ok = OkHttpResponse()
    option = (ok.headers if number == HEADERS else ok.response_headers_to_add).add()
    option.header.key, option.header.value = name, value
    option.append.value = False
    option.append_action = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    assert option.HasField("append")
    assert header_option(name, value, number) == ok.SerializeToString()


@given(NAMES, TEXTS)
def test_a_member_of_the_metadata_is_the_one_the_library_writes(name: str, text: str) -> None:
    """Byte for byte."""
    struct = Struct()
    struct.fields[name].string_value = text
    assert metadata_member(name, text.encode()) == struct.SerializeToString()


def built(decision: Decision, headers: dict[str, str], metadata: dict[str, str]) -> bytes:
    """Return an allow as the library builds it, in an order that does not depend on the one of ours."""
    answer = CheckResponse()
    answer.status.code = 0
    for name, value in headers.items():
        option = answer.ok_response.headers.add()
        option.header.key, option.header.value = name, value
        option.append.value = False
        option.append_action = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    assert decision.request is not None
    answer.ok_response.headers_to_remove.extend(decision.request.headers.lines)
    answer.ok_response.query_parameters_to_remove.extend(sorted({name for name, _ in decision.request.query}))
    for name, text in metadata.items():
        answer.dynamic_metadata.fields[name].string_value = text
    return answer.SerializeToString(deterministic=True)


@pytest.mark.parametrize("decision_id", [new_decision_id(), DecisionId("d-1")])
def test_a_joined_answer_is_the_one_the_library_builds(decision_id: DecisionId) -> None:
    """Field by field, for the same decision under one id and under another."""
    request = request_with("cookie", "x-api-key", query=(("access_token", "x"), ("job_token", "y")))
    request = replace(request, headers=replace(request.headers, complete=True))
    decision = replace(decision_of(ALLOW, request=request), decision_id=decision_id)
    caller = {
        "subject": "alice",
        "actor": "agent-7",
        "client": "console",
        "kind": "user",
        "tenant": "acme",
        "issuer": ISSUER,
    }
    headers = {
        "x-extauthz-subject": "alice",
        "x-extauthz-actor": "agent-7",
        "x-extauthz-actor-issuer": ISSUER,
        "x-extauthz-client": "console",
        "x-extauthz-kind": "user",
        "x-extauthz-tenant": "acme",
        "x-extauthz-issuer": ISSUER,
        "x-extauthz-decision-id": decision_id,
        "x-extauthz-policy": "0123456789abcdef",
    }
    metadata = {
        "decision_id": decision_id,
        "outcome": "allow",
        "reason": "allowed",
        "rule": "people-deploy",
        "policy": "0123456789abcdef",
        "resource": "deployment",
        "action": "deploy",
        **caller,
    }
    answer = CheckResponse.FromString(to_envoy(decision))
    assert answer.SerializeToString(deterministic=True) == built(decision, headers, metadata)
