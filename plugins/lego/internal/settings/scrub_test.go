package settings

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestScrub(t *testing.T) {
	e := Environment{secrets: map[string]string{"A": "abcd", "B": "abcdef", "C": "a/b c", "D": "xyz"}}
	got := e.Scrub("abcd abcdef a/b c a%2Fb+c a%2Fb%20c xyz")
	if want := "<A> <B> <C> <C> <C> xyz"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Services quote requests: their bodies, and their headers.
func TestScrubForms(t *testing.T) {
	const secret = `pa"ss\wo<rd-1234"`
	e := Environment{Variables: map[string]string{"X_USER": "user", "X_PASS": secret}, secrets: map[string]string{"X_PASS": secret + "\n"}}
	body, err := json.Marshal(map[string]string{"password": secret})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(body):                          `{"password":"<X_PASS>"}`,
		`{"password":"pa\"ss\\wo<rd-1234\""}`: `{"password":"<X_PASS>"}`,
		"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret)):              "Basic <X_PASS>",
		"Basic " + base64.StdEncoding.EncodeToString([]byte(secret+":")):                  "Basic <X_PASS>",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret)) + " refused": "Basic <X_PASS> refused",
	} {
		if got := e.Scrub(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	// Also with another user, and as a part of something else.
	for _, before := range []string{"", "o", "ot", "oth", "other user:"} {
		for _, after := range []string{"", "x", "xy", "xyz"} {
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString([]byte(before + secret + after))
				if got := e.Scrub(text); !strings.Contains(got, "<X_PASS>") || len(got)-len("<X_PASS>") > len(before)*2+len(after)*2+6 {
					t.Errorf("%q %q: %s", before, after, got)
				}
			}
		}
	}
}

// Messages quote single lines of a key.
func TestScrubLines(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\r\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEA/+==\n-----END PRIVATE KEY-----\n"
	account, err := json.MarshalIndent(map[string]string{"private_key": key, "type": "service_account"}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	e := Environment{secrets: map[string]string{"KEY": key, "RC": "[default]\nclient_secret = c2VjcmV0c2VjcmV0\nhost = h\n"}}
	for text, want := range map[string]string{
		"bad line MIIEvQIBADANBgkqhkiG9w0B":                                           "bad line <KEY>",
		`bad key "-----BEGIN PRIVATE KEY-----\r\nMIIEvQIBADANBgkqhkiG9w0B\n": no end`: `bad key "-----BEGIN PRIVATE KEY-----\r\n<KEY>\n": no end`,
		"?k=AQEFAASCBKcwggSjAgEA%2F%2B%3D%3D":                                         "?k=<KEY>",
		"no right for c2VjcmV0c2VjcmV0 at h":                                          "no right for <RC> at h",
		"line 2: client_secret = c2VjcmV0c2VjcmV0":                                    "line 2: <RC>",
	} {
		if got := e.Scrub(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	e = Environment{secrets: map[string]string{"ACCOUNT": string(account)}}
	if got := e.Scrub("bad line MIIEvQIBADANBgkqhkiG9w0B"); got != "bad line <ACCOUNT>" {
		t.Error(got)
	}
}
