package acme

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
)

func TestRateLimit(t *testing.T) {
	s := newServer(t)
	for name, test := range map[string]struct {
		header map[string]string
		status int
		body   string
		want   time.Time
	}{
		"seconds": {map[string]string{"Retry-After": "3600"}, 429, `{"type":"urn:ietf:params:acme:error:rateLimited"}`, epoch.Add(time.Hour)},
		"skewed date": {map[string]string{
			"Retry-After": "Tue, 01 Jan 2030 00:30:00 GMT", "Date": "Tue, 01 Jan 2030 00:00:00 GMT",
		}, 429, `{}`, epoch.Add(30 * time.Minute)},
		"nothing":         {nil, 429, `{}`, epoch.Add(rateLimitWait)},
		"at once":         {map[string]string{"Retry-After": "0"}, 429, `{}`, epoch.Add(minWait)},
		"by type":         {nil, 403, `{"type":"urn:ietf:params:acme:error:rateLimited"}`, epoch.Add(rateLimitWait)},
		"busy":            {map[string]string{"Retry-After": "30"}, 503, `{}`, epoch.Add(30 * time.Second)},
		"busy, no hint":   {nil, 503, `{}`, time.Time{}},
		"internal, hint":  {map[string]string{"Retry-After": "30"}, 500, `{"type":"urn:ietf:params:acme:error:serverInternal"}`, epoch.Add(30 * time.Second)},
		"foreign gateway": {map[string]string{"Retry-After": "30"}, 404, ``, epoch.Add(30 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			s.handle("/new-order", func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range test.header {
					w.Header().Set(k, v)
				}
				sendProblem(w, test.status, test.body)
			})
			_, err := s.client().NewOrder(t.Context(), OrderRequest{})
			f := Classify(err, epoch)
			class := fault.Later
			if test.want.IsZero() {
				class = fault.Transient
			}
			if f.Class != class || !f.At.Equal(test.want) {
				t.Errorf("%v until %v, want until %v", f.Class, f.At, test.want)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	base, _ := url.Parse("https://ca.example/cert/1")
	many := make([]string, 50)
	for i := range many {
		many[i] = `<https://ca.example/x>;rel=alternate`
	}
	for name, test := range map[string]struct {
		fields []string
		want   []string
	}{
		"none":                 {},
		"usual":                {[]string{`<https://ca.example/dir>;rel="index"`, `<https://ca.example/cert/1/1>;rel="alternate"`}, []string{"https://ca.example/cert/1/1"}},
		"relative":             {[]string{`</cert/1/1>; rel=alternate`}, []string{"https://ca.example/cert/1/1"}},
		"several in one field": {[]string{`<a>;rel="index", <b>;title="x, <c>;rel=alternate";rel="up alternate" , <d> ; REL=Alternate`}, []string{"https://ca.example/cert/b", "https://ca.example/cert/d"}},
		"escaped quote":        {[]string{`<a>;title="\"";rel="alternate"`}, []string{"https://ca.example/cert/a"}},
		"only the first rel":   {[]string{`<a>;rel=index;rel=alternate`}, nil},
		"no rel":               {[]string{`<a>`, `<b>;`, `<c>;rel`, `<d>;rel=""`}, nil},
		"broken":               {[]string{`a;rel=alternate`, `<a;rel=alternate`, `<a>;rel="alternate`, `<%zz>;rel=alternate`, ``}, []string{"https://ca.example/cert/a"}},
		"too long":             {[]string{`<` + strings.Repeat("a", maxURL+1) + `>;rel=alternate`}, nil},
		"too many":             {many, repeat("https://ca.example/x", maxLinks)},
	} {
		t.Run(name, func(t *testing.T) {
			r := &response{url: base, header: http.Header{"Link": test.fields}}
			if diff := cmp.Diff(test.want, r.links("alternate")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func repeat(s string, n int) []string {
	var all []string
	for range n {
		all = append(all, s)
	}
	return all
}

func FuzzHeaders(f *testing.F) {
	f.Add("120", "", `<a>;rel="alternate"`, "/order/1")
	f.Add("Tue, 01 Jan 2030 00:30:00 GMT", "Tue, 01 Jan 2030 00:00:00 GMT", `<a>;title="\";rel=alternate, <b>;rel=alternate`, "")
	base, _ := url.Parse("https://ca.example/")
	f.Fuzz(func(t *testing.T, after, date, link, location string) {
		r := &response{url: base, header: http.Header{
			"Retry-After": {after}, "Date": {date}, "Link": {link, link}, "Location": {location},
		}}
		if at := foreign.RetryAfter(r.header, epoch); !at.IsZero() && (at.Before(epoch) || at.After(epoch.Add(foreign.MaxRetryAfter))) {
			t.Errorf("Retry-After is %v", at)
		}
		found := r.links("alternate")
		if len(found) > maxLinks {
			t.Errorf("%d links", len(found))
		}
		for _, l := range append(found, r.location()) {
			if _, err := url.Parse(l); err != nil {
				t.Errorf("%q: %v", l, err)
			}
		}
	})
}
