package acme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/google/go-cmp/cmp"
)

func TestProblem(t *testing.T) {
	var many []string
	for i := range 120 {
		many = append(many, fmt.Sprintf(`{"type":"urn:ietf:params:acme:error:caa","detail":"no","identifier":{"type":"dns","value":"%03d.example"}}`, i))
	}
	for name, test := range map[string]struct {
		document string
		text     string
	}{
		"plain": {
			`{"type":"urn:ietf:params:acme:error:badCSR","detail":"Key too weak","status":400,"instance":"https://ca.example/p/17"}`,
			`400 urn:ietf:params:acme:error:badCSR: Key too weak`,
		},
		"subproblems, sorted": {
			`{"type":"urn:ietf:params:acme:error:malformed","detail":"Some of the identifiers requested were rejected","subproblems":[
				{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"policy","identifier":{"type":"dns","value":"z.example"}},
				{"type":"urn:ietf:params:acme:error:malformed","detail":"Invalid underscore","identifier":{"type":"dns","value":"_a.example"},
				 "subproblems":[{"detail":"deeper"}]},
				{"type":"urn:ietf:params:acme:error:dns"}]}`,
			`urn:ietf:params:acme:error:malformed: Some of the identifiers requested were rejected (` +
				`_a.example: urn:ietf:params:acme:error:malformed: Invalid underscore; ` +
				`urn:ietf:params:acme:error:dns; ` +
				`z.example: urn:ietf:params:acme:error:rejectedIdentifier: policy)`,
		},
		"many subproblems": {
			`{"type":"urn:ietf:params:acme:error:caa","subproblems":[` + strings.Join(many, ",") + `]}`,
			`urn:ietf:params:acme:error:caa (000.example: urn:ietf:params:acme:error:caa: no; 001.example: urn:ietf:params:acme:error:caa: no; ` +
				`002.example: urn:ietf:params:acme:error:caa: no; 003.example: urn:ietf:params:acme:error:caa: no; 004.example: urn:ietf:params:acme:error:caa: no; ` +
				`005.example: urn:ietf:params:acme:error:caa: no; 006.example: urn:ietf:params:acme:error:caa: no; 007.example: urn:ietf:params:acme:error:caa: no; ` +
				`008.example: urn:ietf:params:acme:error:caa: no; 009.example: urn:ietf:params:acme:error:caa: no; and 90 more)`,
		},
		"title only":        {`{"type":"about:blank","title":"Forbidden","status":"403"}`, `403 Forbidden: Forbidden`},
		"empty":             {`{}`, `unspecified error`},
		"status nonsense":   {`{"type":"urn:x","status":{"a":1}}`, `urn:x`},
		"status range":      {`{"type":"urn:x","status":7}`, `urn:x`},
		"type with a space": {`{"type":"urn:x evil","detail":"d"}`, `unspecified error: d`},
		"type too long":     {`{"type":"` + strings.Repeat("u", 200) + `","detail":"d"}`, `unspecified error: d`},
		"control characters": {
			`{"type":"urn:x","detail":"  a\r\nWarning:\tb\u001b[31m\u202e\u0000c  "}`,
			`urn:x: a Warning: b [31m c`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p Problem
			if err := json.Unmarshal([]byte(test.document), &p); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.text, p.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(p.Subproblems) > maxSubproblems {
				t.Errorf("%d subproblems", len(p.Subproblems))
			}
		})
	}
}

func checkSafe(t *testing.T, s string, limit int) {
	t.Helper()
	if len(s) > limit || !utf8.ValidString(s) {
		t.Errorf("%d bytes: %q", len(s), s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Errorf("%q is not printable in %q", r, s)
		}
	}
}

func FuzzProblem(f *testing.F) {
	f.Add([]byte(`{"type":"urn:ietf:params:acme:error:malformed","detail":"d\u202e","status":400,"identifier":{"type":"dns","value":"a"},"subproblems":[{"detail":"x"}]}`))
	f.Add([]byte(`{"detail":"` + strings.Repeat("ä", 600) + `"}`))
	f.Add([]byte(`{"detail":"2026-03-02T04:05:06Z 0123456789abcdef0123456789abcdef"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Problem
		if json.Unmarshal(data, &p) != nil {
			return
		}
		limit := maxDetail
		if bytes.Contains(data, []byte(TypeRateLimited)) {
			limit = maxPausedDetail
		}
		checkSafe(t, p.Detail, limit)
		checkSafe(t, p.Type, maxProblemType)
		checkSafe(t, p.Instance, maxDetail)
		checkSafe(t, p.Error(), (maxSubproblemsShown+1)*(limit+maxIdentifier+maxProblemType+16))
		if again := foreign.Text(p.Detail, limit); again != p.Detail && !strings.HasSuffix(p.Detail, "…") {
			t.Errorf("%q becomes %q", p.Detail, again)
		}
		_ = Classify(&p, epoch)
	})
}
