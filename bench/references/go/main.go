// Command reference is an authorization server as one would write it by hand for one service: grpc-go, golang-jwt, and
// the rules in code. It is what extauthz is compared with, so it does the same check and nothing more.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
)

func main() {
	address := flag.String("address", "127.0.0.1:9191", "where to listen")
	mode := flag.String("mode", "cache", "constant, nocache or cache")
	keys := flag.String("jwks", "", "file with the issuer's keys")
	answer := flag.String("answer", "", "file with the serialised answer of mode constant; a tiny one when left out")
	flag.Parse()
	server, err := newServer(*mode, *keys, *answer)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}

func newServer(mode, keys, answer string) (*grpc.Server, error) {
	if mode == "constant" {
		return constantServer(answer)
	}
	if mode != "nocache" && mode != "cache" {
		return nil, fmt.Errorf("unknown mode %q", mode)
	}
	known, err := loadKeys(keys)
	if err != nil {
		return nil, err
	}
	c := &checker{verifier: newVerifier(known)}
	if mode == "cache" {
		c.cache = &tokenCache{entries: map[string]*caller{}}
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, c)
	return server, nil
}

// checker verifies the token and applies the rule: readers with the scope may read reports.
type checker struct {
	authv3.UnimplementedAuthorizationServer
	verifier *verifier
	cache    *tokenCache
}

// header returns the first line of a header, which Envoy shows in a map of lines (encode_raw_headers).
func header(http *authv3.AttributeContext_HttpRequest, name string) string {
	for _, line := range http.GetHeaderMap().GetHeaders() {
		if line.GetKey() == name {
			return string(line.GetRawValue())
		}
	}
	return ""
}

func (c *checker) Check(_ context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	http := request.GetAttributes().GetRequest().GetHttp()
	token, ok := bearer(header(http, "authorization"))
	if !ok {
		return denied(401, "no_credentials"), nil
	}
	who, reason := c.identify(token)
	if who == nil {
		return denied(401, reason), nil
	}
	if http.GetMethod() != "GET" || http.GetHost() != "api.example.com" || !isReport(http.GetPath()) {
		return denied(403, "no_resource"), nil
	}
	if !who.scopes["reports:read"] {
		return denied(403, "insufficient_scope"), nil
	}
	return allowed(who.subject, who.client), nil
}

func (c *checker) identify(token string) (*caller, string) {
	if c.cache != nil {
		if who := c.cache.find(token, time.Now()); who != nil {
			return who, ""
		}
	}
	who, reason := c.verifier.verify(token)
	if who != nil && c.cache != nil {
		c.cache.store(token, who)
	}
	return who, reason
}
