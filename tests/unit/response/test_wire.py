"""Answers that are joined from remembered pieces, held against answers that the library built."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse, OkHttpResponse
from extauthz.ids import DecisionId, new_decision_id
from extauthz.response.metadata import to_metadata
from extauthz.response.to_envoy import to_envoy
from extauthz.response.upstream import to_upstream
from extauthz.response.wire import delimited, header_option
from tests.simulators.decisions import ALLOW, decision_of


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_the_framing_is_that_of_the_library(size: int) -> None:
    """At the edges of one, two, three and four bytes of length."""
    payload = b"x" * size
    assert BytesValue.FromString(delimited(1, payload)).value == payload


@given(st.from_regex(r"[a-z-]{1,20}", fullmatch=True), st.text(max_size=600), st.booleans())
def test_a_header_option_overwrites_whichever_field_envoy_reads(name: str, value: str, remember: bool) -> None:
    """Remembered or not, short or long."""
    (option,) = OkHttpResponse.FromString(header_option(name, value, remember=remember)).headers
    assert (option.header.key, option.header.value, option.append.value) == (name, value, False)
    assert option.append_action == HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    assert option.HasField("append")


def test_a_joined_answer_is_the_one_the_library_builds() -> None:
    """Field by field, for the same decision under one id and under another."""
    for decision_id in (new_decision_id(), DecisionId("d-1")):
        decision = replace(decision_of(ALLOW), decision_id=decision_id)
        assert decision.request is not None
        assert decision.target is not None
        upstream = to_upstream(decision, decision.request, decision.target)
        built = CheckResponse()
        built.status.code = 0
        for name, value in upstream.headers:
            option = built.ok_response.headers.add()
            option.header.key, option.header.value = name, value
            option.append.value = False
            option.append_action = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
        built.ok_response.headers_to_remove.extend([*upstream.remove, *upstream.remove_seen])
        built.ok_response.query_parameters_to_remove.extend(upstream.remove_parameters)
        for name, text in to_metadata(decision):
            built.dynamic_metadata.fields[name].string_value = text
        assert CheckResponse.FromString(to_envoy(decision)) == built
