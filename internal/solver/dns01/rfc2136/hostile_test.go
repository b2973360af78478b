package rfc2136

import (
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/fault"
)

// FuzzRead feeds answers of a hostile server to all functions that read them.
func FuzzRead(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	p, err := New(Config{
		Nameserver: "192.0.2.1", TSIGKeyName: "k", TSIGSecret: encodeBase64("0123456789abcdef"),
		Clock: clocktesting.NewFakePassiveClock(now),
	})
	if err != nil {
		f.Fatal(err)
	}
	request := new(mdns.Msg)
	request.SetUpdate("example.com.")
	request.Id = 1
	for _, rcode := range []int{mdns.RcodeSuccess, mdns.RcodeRefused} {
		answer := new(mdns.Msg)
		answer.SetRcode(request, rcode)
		raw, err := answer.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		for _, stamp := range []tsig.Stamp{
			{Time: now}, {Time: now, RequestMAC: []byte("mac")}, {Time: now, Error: mdns.RcodeBadSig}, {Time: now, Error: mdns.RcodeBadTime, Other: now.Add(time.Hour)},
		} {
			signed, _, err := tsig.Sign(raw, *p.key, stamp)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(signed)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		answer, err := p.read(raw, request, []byte("mac"))
		if err != nil {
			if e := fault.Of(err); e.Reason == "" || len(e.Message) > 1000 {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		if answer.Rcode == mdns.RcodeSuccess {
			if _, err := tsig.Verify(raw, *p.key, []byte("mac"), now); err != nil {
				t.Fatalf("a success that is not signed: %v", err)
			}
		}
		zoneIn(answer, "a.example.com.")
	})
}
