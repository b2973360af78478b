package record

import (
	"context"
	"testing"
)

func TestZoneOf(t *testing.T) {
	r := Record{FQDN: "_acme-challenge.www.example.com.", Zone: "Example.com."}
	for _, c := range []struct {
		r    Record
		fqdn string
		want string
	}{
		{r, "_acme-challenge.www.example.com.", "Example.com."},
		{r, "www.example.com", "Example.com."},
		{r, "example.com.", "Example.com."},
		{r, "notexample.com.", ""},
		{r, "example.net.", ""},
		{Record{}, "example.com.", ""},
		{Record{Zone: "."}, "example.com.", ""},
	} {
		got, ok := ZoneOf(With(context.Background(), c.r), c.fqdn)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%+v, %s: %q, %v", c.r, c.fqdn, got, ok)
		}
	}
	if _, ok := ZoneOf(context.Background(), "example.com."); ok {
		t.Error("a zone without a record")
	}
}

func TestDomain(t *testing.T) {
	for fqdn, want := range map[string]string{
		"_acme-challenge.example.com.": "example.com",
		"delegated.example.net.":       "delegated.example.net",
	} {
		if got := (Record{FQDN: fqdn}).Domain(); got != want {
			t.Errorf("%s: %q", fqdn, got)
		}
	}
}
