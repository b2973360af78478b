package acme

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
)

func TestThumbprint(t *testing.T) {
	// RFC 7638 section 3.1.
	modulus, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	if got, err := Thumbprint(key); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	thumbprint, err := Thumbprint(testKey.Public())
	if err != nil || len(thumbprint) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		t.Errorf("%q, %v", thumbprint, err)
	}
	if got, want := KeyAuthorization("token", thumbprint), "token."+thumbprint; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDNS01Value(t *testing.T) {
	// printf token.thumb | openssl dgst -sha256 -binary | basenc --base64url
	if got := DNS01Value("token.thumb"); got != "lCdftpJCXapaZHkBGIZbcubeKW8RmA0jSG_aZN01zbU" {
		t.Error(got)
	}
}

func TestUnusableKeys(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	small := *testKey
	small.Curve = elliptic.P224()
	s := newServer(t)
	for name, c := range map[string]Config{
		"none":    {},
		"Ed25519": {Key: ed},
		"P-224":   {Key: &small},
	} {
		t.Run(name, func(t *testing.T) {
			c.DirectoryURL, c.HTTPClient, c.AccountURL = s.URL+"/dir", s.Client(), s.URL+"/acct/1"
			client := New(c)
			_, register := client.Register(t.Context(), AccountRequest{EAB: &ExternalAccount{KeyID: "id", Key: []byte("k")}})
			_, order := client.NewOrder(t.Context(), OrderRequest{})
			for _, err := range []error{register, order} {
				var f *fault.Error
				if !errors.As(err, &f) || f.Class != fault.User || f.Reason != "InvalidAccountKey" {
					t.Errorf("%v", err)
				}
			}
		})
	}
	if len(s.posts) != 0 {
		t.Errorf("%d requests were sent", len(s.posts))
	}
}

func TestExternalAccountBinding(t *testing.T) {
	s := newServer(t)
	c := s.client()
	key := []byte("short") // go-jose would reject it
	_, _ = c.Register(t.Context(), AccountRequest{EAB: &ExternalAccount{KeyID: "kid-1", Key: key}})
	var payload struct {
		EAB struct{ Protected, Payload, Signature string } `json:"externalAccountBinding"`
	}
	if err := json.Unmarshal([]byte(s.posts[0].Payload), &payload); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(payload.EAB.Protected + "." + payload.EAB.Payload))
	if got, want := payload.EAB.Signature, base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	protected, err := base64.RawURLEncoding.DecodeString(payload.EAB.Protected)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(protected, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"alg": "HS256", "kid": "kid-1", "url": s.URL + "/new-acct"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("protected header (-want +got):\n%s", diff)
	}
}
