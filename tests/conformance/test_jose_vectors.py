"""Published examples: tokens and keys that others made verify here, and fail when one bit differs."""

import dataclasses
import json

import pytest

from extauthz.errors import JoseError
from extauthz.jose.algorithms import verify_signature
from extauthz.jose.compact import parse_compact
from extauthz.jose.keyset import parse_keyset

PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

RFC_7515_A2 = (
    "RS256",
    {
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR"
        "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7"
        "WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kz"
        "k2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    },
    (
        f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}."
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9"
        "CUAr7t1"
        "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
        "xi12jzD"
        "wusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypG"
        "lUPQGe7"
        "7Rw"
    ),
)

RFC_7515_A3 = (
    "ES256",
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    (
        f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}."
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    ),
)

RFC_8037_A4 = (
    "EdDSA",
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    ),
)


@pytest.mark.parametrize(
    ("alg", "jwk", "token"),
    [RFC_7515_A2, RFC_7515_A3, RFC_8037_A4],
    ids=["RFC 7515 A.2", "RFC 7515 A.3", "RFC 8037 A.4"],
)
def test_a_published_example_verifies_and_a_changed_one_does_not(alg: str, jwk: dict[str, str], token: str) -> None:
    """Key set, token and signature go the way they go in production."""
    key = parse_keyset(json.dumps({"keys": [jwk]}).encode(), (alg,)).find(None, alg)
    assert key is not None
    jws = parse_compact(token)
    verify_signature(jws, key)
    for position in range(len(jws.signature)):
        flipped = bytearray(jws.signature)
        flipped[position] ^= 1
        with pytest.raises(JoseError):
            verify_signature(dataclasses.replace(jws, signature=bytes(flipped)), key)


def test_the_unsecured_example_is_no_token() -> None:
    """RFC 7515 appendix A.5: `none` with an empty signature."""
    with pytest.raises(JoseError):
        parse_compact(f"eyJhbGciOiJub25lIn0.{PAYLOAD}.")
