package main

import (
	"strings"
	"testing"
)

// denial is a CheckResponse: code 16, message "token_expired", HTTP status 401.
var denial = []byte("\x0a\x11\x08\x10\x12\x0dtoken_expired\x12\x05\x0a\x03\x08\x91\x03")

// permit is a CheckResponse with an empty ok_response.
var permit = []byte("\x0a\x00\x1a\x00")

func finished(message []byte) *call {
	return &call{httpStatus: 200, data: append([]byte{0, 0, 0, 0, byte(len(message))}, message...)}
}

func TestExpectedAnswersPass(t *testing.T) {
	if wrong := judge(&question{status: 401, reason: "token_expired"}, finished(denial), false); wrong != "" {
		t.Error(wrong)
	}
	if wrong := judge(&question{}, finished(permit), false); wrong != "" {
		t.Error(wrong)
	}
	if wrong := judge(&question{status: 403}, &call{httpStatus: 403}, true); wrong != "" {
		t.Error(wrong)
	}
}

func TestUnexpectedAnswersAreTold(t *testing.T) {
	cases := []struct {
		name string
		q    question
		c    *call
		http bool
		want string
	}{
		{"an allow in place of a denial", question{status: 401}, finished(permit), false, "allowed"},
		{"a denial in place of an allow", question{}, finished(denial), false, "denied"},
		{"another reason", question{status: 401, reason: "no_permit"}, finished(denial), false, "token_expired"},
		{"another status", question{status: 403}, finished(denial), false, "401"},
		{"an empty message, whose code reads as 0", question{}, finished(nil), false, "expected an allow"},
		{"an RPC error", question{}, &call{httpStatus: 200, grpcStatus: 13}, false, "grpc-status 13"},
		{"no message", question{}, &call{httpStatus: 200}, false, "not one"},
		{"broken bytes", question{}, finished([]byte("\x0a\xff")), false, "malformed"},
		{"another HTTP status", question{status: 200}, &call{httpStatus: 401}, true, "HTTP status 401"},
	}
	for _, one := range cases {
		if got := judge(&one.q, one.c, one.http); !strings.Contains(got, one.want) {
			t.Errorf("%s: got %q", one.name, got)
		}
	}
}
