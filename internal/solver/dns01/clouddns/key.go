package clouddns

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/everleaf/everleaf/internal/pki"
)

// serviceAccountKey is the JSON key of a service account, as Google's console and gcloud
// write it.
type serviceAccountKey struct {
	Type       string `json:"type"`
	Email      string `json:"client_email"`
	PrivateKey string `json:"private_key"`
	text       []byte
}

// readKey reads a key. Its errors say what the text is instead, and have none of it.
func readKey(text []byte) (serviceAccountKey, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	key := serviceAccountKey{text: text}
	if bytes.HasPrefix(text, []byte("-----BEGIN")) {
		return key, errors.New(`it begins with "-----BEGIN": a bare private key?`)
	}
	if err := json.Unmarshal(text, &key); err != nil {
		if decoded, err := base64.StdEncoding.DecodeString(string(text)); err == nil && json.Valid(decoded) {
			return key, errors.New("it is base64 of JSON: put the JSON under stringData, or encode it once under data")
		}
		return key, errors.New("it is not JSON")
	}
	switch {
	case key.Type != "service_account":
		known := map[string]string{
			"authorized_user":              "the credentials of a user",
			"external_account":             "a configuration of workload identity federation",
			"impersonated_service_account": "a configuration of impersonation",
		}
		if what, ok := known[key.Type]; ok {
			return key, fmt.Errorf("its type is %s: %s", key.Type, what)
		}
		return key, errors.New("its type is not service_account")
	case key.Email == "":
		return key, errors.New("it has no client_email")
	case key.PrivateKey == "":
		return key, errors.New("it has no private_key")
	}
	if len(key.PrivateKey) > pki.DefaultLimits.MaxPrivateKeySize {
		return key, fmt.Errorf("its private_key has more than %d bytes", pki.DefaultLimits.MaxPrivateKeySize)
	}
	block, _ := pem.Decode([]byte(key.PrivateKey))
	if block == nil {
		return key, errors.New("its private_key is not PEM")
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return key, errors.New("its private_key cannot be read")
		}
	}
	return key, nil
}
