package main

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
)

func allowed(subject, client string) *authv3.CheckResponse {
	ok := &authv3.OkHttpResponse{Headers: []*corev3.HeaderValueOption{
		option("x-subject", subject), option("x-client", client),
	}}
	return &authv3.CheckResponse{
		Status:       &status.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok},
	}
}

func denied(code int32, reason string) *authv3.CheckResponse {
	rpc := int32(7) // PERMISSION_DENIED
	if code == 401 {
		rpc = 16 // UNAUTHENTICATED
	}
	no := &authv3.DeniedHttpResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode(code)},
		Headers: []*corev3.HeaderValueOption{option("x-reason", reason)},
		Body:    reason,
	}
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: rpc, Message: reason},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: no},
	}
}

func option(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
