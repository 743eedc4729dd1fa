package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxEntries bounds the cache; a full cache starts again empty.
const maxEntries = 100_000

type claims struct {
	jwt.RegisteredClaims
	Scope  string `json:"scope"`
	Client string `json:"client_id"`
}

// caller is what a verified token says.
type caller struct {
	subject, client string
	scopes          map[string]bool
	expires         time.Time
}

type verifier struct {
	parser *jwt.Parser
	keys   map[string]*ecdsa.PublicKey
}

func newVerifier(keys map[string]*ecdsa.PublicKey) *verifier {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}),
		jwt.WithIssuer("https://issuer.example.com"),
		jwt.WithAudience("https://api.example.com"),
		jwt.WithExpirationRequired(),
	)
	return &verifier{parser: parser, keys: keys}
}

func (v *verifier) verify(token string) (*caller, string) {
	var c claims
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if key := v.keys[kid]; key != nil {
			return key, nil
		}
		return nil, errors.New("unknown key")
	})
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, "token_expired"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return nil, "audience_mismatch"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return nil, "issuer_unknown"
	default:
		return nil, "signature_invalid"
	}
	who := &caller{subject: c.Subject, client: c.Client, scopes: map[string]bool{}, expires: c.ExpiresAt.Time}
	for scope := range strings.FieldsSeq(c.Scope) {
		who.scopes[scope] = true
	}
	return who, ""
}

// tokenCache remembers verified tokens until they expire.
type tokenCache struct {
	mu      sync.RWMutex
	entries map[string]*caller
}

func (t *tokenCache) find(token string, now time.Time) *caller {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if who := t.entries[token]; who != nil && now.Before(who.expires) {
		return who
	}
	return nil
}

func (t *tokenCache) store(token string, who *caller) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) >= maxEntries {
		clear(t.entries)
	}
	t.entries[token] = who
}

func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return token, ok && strings.EqualFold(scheme, "bearer")
}

func isReport(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	name, ok := strings.CutPrefix(path, "/v1/reports/")
	return ok && name != "" && name != "embargoed" && !strings.Contains(name, "/")
}

// loadKeys reads the EC keys of a JWK set.
func loadKeys(path string) (map[string]*ecdsa.PublicKey, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, X, Y string }
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, jwk := range set.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(jwk.X)
		y, errY := base64.RawURLEncoding.DecodeString(jwk.Y)
		if err := errors.Join(errX, errY); err != nil {
			return nil, err
		}
		keys[jwk.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	}
	return keys, nil
}
