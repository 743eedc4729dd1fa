"""The page on the client can be pasted: its settings load, its programs run, its header is the one that is sent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from extauthz.client import Response, Session
from extauthz.client.session import MAX_WAITS
from extauthz.config.metadata_document import to_documents
from extauthz.config.settings import Settings
from extauthz.model.decision import Target
from extauthz.model.reason import Reason
from extauthz.model.verdict import ObtainScopes
from extauthz.response.challenge import find_challenge
from tests.simulators.api import API, OK, Api, refuse
from tests.simulators.decisions import denial

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
BLOCKS = {
    block.split("\n", 1)[0].removeprefix("# "): block
    for block in re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
}
SETTINGS = Settings.model_validate(yaml.safe_load(BLOCKS["extauthz.yaml"]))


def run(api: Api, monkeypatch: pytest.MonkeyPatch) -> tuple[Response, list[dict[str, str]]]:
    """Run the page's program against a simulated API; return the answer and the forms for the token endpoint."""
    forms: list[dict[str, str]] = []

    def ask_token_endpoint(form: dict[str, str]) -> str:
        forms.append(form)
        return f"token-{len(forms)}"

    monkeypatch.setattr("extauthz.client.session.WebTransport", lambda: api)
    names: dict[str, Any] = {"ask_token_endpoint": ask_token_endpoint}
    exec(compile(BLOCKS["client.py"], "client.py", "exec"), names)  # noqa: S102 — the page's own program
    answer = names["answer"]
    assert isinstance(answer, Response)
    return answer, forms


def test_the_program_becomes_allowed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It asks for the scope that the refusal names."""
    refused = refuse(403, 'Bearer error="insufficient_scope", scope="deploy:production"')
    answer, forms = run(Api((refused, OK)), monkeypatch)
    assert answer == OK
    assert [form["scope"] for form in forms] == ["", "deploy:production"]
    assert capsys.readouterr().out == ""


def test_the_program_says_why_it_was_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And being a machine it does not try to sign in."""
    challenge = 'Bearer error="insufficient_user_authentication", max_age="60"'
    body = {"reason": "step_up_required", "detail": "Sign in again.", "decision_id": "d-1"}
    answer, forms = run(Api((refuse(401, challenge, body=body),)), monkeypatch)
    assert (answer.status, len(forms)) == (401, 1)
    assert capsys.readouterr().out == "step_up_required Sign in again. d-1\n"


def test_proofs_are_signed_by_the_key() -> None:
    """With the claims that the session made and the header that RFC 9449 section 4.2 asks for."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    names: dict[str, Any] = {}
    exec(compile(BLOCKS["dpop.py"], "dpop.py", "exec"), names)  # noqa: S102 — the page's own program
    api = Api((OK,))
    Session(API, lambda _request: names["bound"]("token", key, jwk), transport=api).request("GET", "/v1/x?y")
    proof = api.sent[0].headers["dpop"]
    header = jwt.get_unverified_header(proof)
    assert (header["typ"], header["jwk"], header["alg"]) == ("dpop+jwt", jwk, "ES256")
    claims = jwt.decode(proof, key.public_key(), algorithms=["ES256"])
    assert (claims["htm"], claims["htu"]) == ("GET", f"{API}/v1/x")


def test_settings_publish_what_the_page_says() -> None:
    """And the header that it shows is the one that such settings lead to."""
    (document,) = to_documents(SETTINGS).values()
    assert (document["resource"], document["scopes_supported"]) == (API, ["reports:read"])
    assert document["authorization_servers"] == ["https://issuer.example.com"]
    target = Target(resource="report", action="read", metadata_url=SETTINGS.profiles["default"].metadata_url)
    detail = "Ask for a token with every scope that is named."
    deny = denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("reports:read",)), detail=detail)
    assert f"WWW-Authenticate: {find_challenge(deny, target)}\n" in PAGE


def test_the_number_of_pauses_is_the_codes() -> None:
    """As the table has it."""
    assert {3: "three"}[MAX_WAITS] + " times" in PAGE
