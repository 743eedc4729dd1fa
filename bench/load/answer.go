package main

import (
	"encoding/binary"
	"fmt"
)

// answer is what matters of a CheckResponse.
type answer struct {
	code    uint64 // status.code; 0 allows
	message string // status.message
	allowed bool   // ok_response is set
	denied  bool   // denied_response is set
	status  uint64 // denied_response.status.code
}

// judge returns what is wrong with a finished call, or "".
func judge(q *question, c *call, http bool) string {
	if c.broken != "" {
		return c.broken
	}
	if http {
		if c.httpStatus != q.status {
			return fmt.Sprintf("HTTP status %d, expected %d", c.httpStatus, q.status)
		}
		return ""
	}
	if c.httpStatus != 200 || c.grpcStatus != 0 {
		return fmt.Sprintf("HTTP status %d, grpc-status %d %q", c.httpStatus, c.grpcStatus, c.grpcMessage)
	}
	if len(c.data) < 5 || c.data[0] != 0 || int(binary.BigEndian.Uint32(c.data[1:])) != len(c.data)-5 {
		return fmt.Sprintf("not one uncompressed gRPC message: %d bytes", len(c.data))
	}
	a, ok := readAnswer(c.data[5:])
	if !ok {
		return "the CheckResponse is malformed"
	}
	return judgeAnswer(q, &a)
}

func judgeAnswer(q *question, a *answer) string {
	if q.status == 0 {
		if a.code != 0 || !a.allowed || a.denied {
			return fmt.Sprintf("denied (code %d, HTTP status %d, %q), expected an allow", a.code, a.status, a.message)
		}
		return ""
	}
	if a.code == 0 || !a.denied || a.allowed {
		return fmt.Sprintf("allowed, expected the denial %d %q", q.status, q.reason)
	}
	if int(a.status) != q.status || (q.reason != "" && a.message != q.reason) {
		return fmt.Sprintf("denied with %d %q, expected %d %q", a.status, a.message, q.status, q.reason)
	}
	return ""
}

// readAnswer reads envoy.service.auth.v3.CheckResponse: status = 1, denied_response = 2, ok_response = 3.
func readAnswer(raw []byte) (answer, bool) {
	var a answer
	ok := eachField(raw, func(number, _ uint64, body []byte) bool {
		switch number {
		case 1: // google.rpc.Status: code = 1, message = 2
			return eachField(body, func(number, value uint64, body []byte) bool {
				switch number {
				case 1:
					a.code = value
				case 2:
					a.message = string(body)
				}
				return true
			})
		case 2: // DeniedHttpResponse: status = 1 {code = 1}
			a.denied = true
			return eachField(body, func(number, _ uint64, body []byte) bool {
				if number != 1 {
					return true
				}
				return eachField(body, func(number, value uint64, _ []byte) bool {
					if number == 1 {
						a.status = value
					}
					return true
				})
			})
		case 3:
			a.allowed = true
		}
		return true
	})
	return a, ok
}

// eachField calls see for every field of a protobuf message: its number, and its integer or its bytes.
func eachField(raw []byte, see func(number, value uint64, body []byte) bool) bool {
	for len(raw) > 0 {
		tag, n := binary.Uvarint(raw)
		if n <= 0 {
			return false
		}
		raw = raw[n:]
		var value uint64
		var body []byte
		switch tag & 7 {
		case 0:
			if value, n = binary.Uvarint(raw); n <= 0 {
				return false
			}
			raw = raw[n:]
		case 2:
			size, n := binary.Uvarint(raw)
			if n <= 0 || size > uint64(len(raw)-n) {
				return false
			}
			body, raw = raw[n:n+int(size)], raw[n+int(size):]
		default: // Nothing that we read has fixed-width fields.
			return false
		}
		if !see(tag>>3, value, body) {
			return false
		}
	}
	return true
}
