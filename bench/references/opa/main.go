// Command opa is an authorization server whose rules are Rego: Open Policy Agent's evaluator inside a grpc-go server.
//
// It stands where a comparison with OPA-Envoy is meant. It evaluates a prepared query and builds its input directly
// from the request, so it does less than the plugin does for a decision: no decision log, no metrics, no conversion of
// the whole request to JSON. With -cache it uses OPA's cache of verified tokens.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"google.golang.org/grpc"
)

//go:embed policy.rego
var policy string

const cacheConfig = `{"inter_query_builtin_value_cache": {"named": {"io_jwt": {"max_num_entries": 100000}}}}`

func main() {
	address := flag.String("address", "127.0.0.1:9191", "where to listen")
	cached := flag.Bool("cache", false, "remember verified tokens")
	keys := flag.String("jwks", "", "file with the issuer's keys")
	flag.Parse()
	service, err := newChecker(*keys, *cached)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, service)
	log.Fatal(server.Serve(listener))
}

type checker struct {
	authv3.UnimplementedAuthorizationServer
	query rego.PreparedEvalQuery
	cache cache.InterQueryValueCache
}

func newChecker(keys string, cached bool) (*checker, error) {
	jwks, err := os.ReadFile(keys)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	query, err := rego.New(
		rego.Query("decision := data.envoy.authz.decision"),
		rego.Module("policy.rego", policy),
		rego.Store(inmem.NewFromObject(map[string]any{"jwks": string(jwks)})),
	).PrepareForEval(ctx)
	if err != nil || !cached {
		return &checker{query: query}, err
	}
	config, err := cache.ParseCachingConfig([]byte(cacheConfig))
	if err != nil {
		return nil, err
	}
	return &checker{query: query, cache: cache.NewInterQueryValueCache(ctx, config)}, nil
}

func (c *checker) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	options := []rego.EvalOption{rego.EvalInput(input(request))}
	if c.cache != nil {
		options = append(options, rego.EvalInterQueryBuiltinValueCache(c.cache))
	}
	results, err := c.query.Eval(ctx, options...)
	if err != nil || len(results) != 1 {
		return denied(503, fmt.Sprintf("no decision: %v", err)), nil
	}
	decision, _ := results[0].Bindings["decision"].(map[string]any)
	if code := fmt.Sprint(decision["status"]); code != "0" {
		var number int32
		if _, err := fmt.Sscan(code, &number); err != nil {
			number = 503
		}
		return denied(number, fmt.Sprint(decision["reason"])), nil
	}
	return allowed(fmt.Sprint(decision["subject"]), fmt.Sprint(decision["client"])), nil
}

// input is what the policy reads, in the shape that OPA-Envoy gives it.
func input(request *authv3.CheckRequest) map[string]any {
	http := request.GetAttributes().GetRequest().GetHttp()
	path, _, _ := strings.Cut(http.GetPath(), "?")
	var parts []any
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		parts = append(parts, part)
	}
	lines := http.GetHeaderMap().GetHeaders()
	headers := make(map[string]any, len(lines))
	for _, line := range lines {
		headers[line.GetKey()] = string(line.GetRawValue())
	}
	seen := map[string]any{"method": http.GetMethod(), "path": http.GetPath(), "host": http.GetHost(), "headers": headers}
	return map[string]any{
		"attributes":  map[string]any{"request": map[string]any{"http": seen}},
		"parsed_path": parts,
	}
}
