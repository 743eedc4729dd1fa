// Command load asks a gRPC authorization server, or an Envoy in front of one, and checks every answer.
//
// A closed loop keeps `-streams` questions under way on each connection. An open loop (`-rate`) asks at fixed instants
// and counts latency from the instant at which a question was meant to be asked, so that a stalled server cannot hide
// the questions that it kept waiting. The result is printed as JSON; the exit code is not 0 when any answer was wrong.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"
)

const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

type options struct {
	target, file, authority, metadata, ca string
	connections, streams                  int
	seconds, rate                         float64
	count                                 int64
	http                                  bool
}

func main() {
	var o options
	flag.StringVar(&o.target, "target", "127.0.0.1:9191", "`address` of the server: host:port or unix:/path")
	flag.StringVar(&o.file, "questions", "", "`file` with questions and expected answers")
	flag.StringVar(&o.authority, "authority", "extauthz", "`:authority` of gRPC calls, and the TLS server name")
	flag.StringVar(&o.metadata, "metadata", "", "one metadata `name=value` sent with every gRPC call")
	flag.StringVar(&o.ca, "tls", "", "PEM `file` with the authority that vouches for the server; empty is plaintext")
	flag.IntVar(&o.connections, "connections", 8, "connections")
	flag.IntVar(&o.streams, "streams", 16, "questions under way on each connection in a closed loop")
	flag.Float64Var(&o.seconds, "seconds", 5, "how long to ask")
	flag.Float64Var(&o.rate, "rate", 0, "questions per second of an open loop; 0 is a closed loop")
	flag.Int64Var(&o.count, "count", 0, "questions at most; 0 is no limit")
	flag.BoolVar(&o.http, "http", false, "the questions are plain HTTP/2 requests (prior knowledge), not gRPC calls")
	flag.Parse()
	total, err := ask(&o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	encoded, _ := json.Marshal(total) // Numbers and texts only.
	fmt.Println(string(encoded))
	if total.FirstError != "" {
		fmt.Fprintln(os.Stderr, "load: first wrong answer:", total.FirstError)
	}
	os.Exit(total.exitCode())
}

func ask(o *options) (*result, error) {
	// One processor for a closed loop; the clock of an open loop must not wait for answers being read.
	runtime.GOMAXPROCS(1)
	if o.rate > 0 {
		runtime.GOMAXPROCS(2)
	}
	questions, err := loadQuestions(o.file)
	if err != nil {
		return nil, err
	}
	r := &run{questions: questions, metadata: metadataOf(o), http: o.http, rate: o.rate, limit: o.count}
	var all []*connection
	for range o.connections {
		wire, err := dial(o)
		if err != nil {
			return nil, err
		}
		c, err := open(r, wire)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	total := r.measure(all, o.streams, time.Duration(o.seconds*float64(time.Second)))
	return &total, nil
}

func metadataOf(o *options) [][2]string {
	scheme := "http"
	if o.ca != "" {
		scheme = "https"
	}
	fields := [][2]string{
		{":method", "POST"}, {":scheme", scheme}, {":path", checkMethod}, {":authority", o.authority},
		{"te", "trailers"}, {"content-type", "application/grpc"}, {"grpc-timeout", "5000m"},
	}
	if name, value, ok := strings.Cut(o.metadata, "="); ok {
		fields = append(fields, [2]string{name, value})
	}
	return fields
}

func dial(o *options) (net.Conn, error) {
	network, address := "tcp", o.target
	if path, ok := strings.CutPrefix(o.target, "unix:"); ok {
		network, address = "unix", path
	}
	wire, err := net.DialTimeout(network, address, 5*time.Second)
	if err != nil || o.ca == "" {
		return wire, err
	}
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the TLS file holds no certificate")
	}
	secured := tls.Client(wire, &tls.Config{
		RootCAs: roots, ServerName: o.authority, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13,
	})
	return secured, secured.Handshake()
}
