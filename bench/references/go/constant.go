package main

import (
	"context"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// constantServer allows everything: what the engine alone costs. It reads no question and makes no answer, as the
// constant servers of the other engines do. Without a file the answer is a tiny one.
func constantServer(file string) (*grpc.Server, error) {
	answer, err := constantAnswer(file)
	if err != nil {
		return nil, err
	}
	check := func(_ any, _ context.Context, _ func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return answer, nil
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(asItIs{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.auth.v3.Authorization",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Check", Handler: check}},
	}, nil)
	return server, nil
}

func constantAnswer(file string) ([]byte, error) {
	if file == "" {
		return proto.Marshal(allowed("somebody", "something"))
	}
	return os.ReadFile(file)
}

// asItIs is a codec for an answer that is serialised already; questions are not read.
type asItIs struct{}

func (asItIs) Marshal(answer any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(answer.([]byte))}, nil
}

func (asItIs) Unmarshal(mem.BufferSlice, any) error { return nil }

func (asItIs) Name() string { return "proto" }
