package envoy.authz

# The policy of the benchmark: a verified token for our API with the scope reads reports.

import rego.v1

http := input.attributes.request.http

token := substring(http.headers.authorization, 7, -1) if startswith(lower(http.headers.authorization), "bearer ")

verified := io.jwt.decode_verify(token, {
	"cert": data.jwks,
	"alg": "ES256",
	"iss": "https://issuer.example.com",
	"aud": "https://api.example.com",
})

claims := verified[2] if verified[0]

is_report if {
	http.method == "GET"
	http.host == "api.example.com"
	input.parsed_path = ["v1", "reports", name]
	name != "embargoed"
}

default decision := {"status": 403, "reason": "no_permit"}

decision := {"status": 401, "reason": "no_credentials"} if {
	not token
} else := {"status": 401, "reason": reason} if {
	not claims
} else := {"status": 0, "subject": claims.sub, "client": claims.client_id} if {
	is_report
	"reports:read" in split(claims.scope, " ")
}

# Why a token is refused; only looked at when it is.
default reason := "signature_invalid"

unverified := io.jwt.decode(token)[1]

reason := "token_expired" if {
	unverified.exp < time.now_ns() / 1000000000
} else := "audience_mismatch" if {
	unverified.aud != "https://api.example.com"
}
