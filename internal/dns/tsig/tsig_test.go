package tsig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

var (
	now  = time.Unix(1_700_000_000, 0)
	key  = Key{Name: "Key.example.", Algorithm: MD5, Secret: []byte("0123456789abcdef")}
	algs = []Algorithm{MD5, SHA1, SHA256, SHA512}
)

func message(t testing.TB) []byte {
	t.Helper()
	m := new(mdns.Msg)
	m.SetUpdate("example.com.")
	m.Id = 4711
	m.Insert([]mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: "x.example.com.", Rrtype: mdns.TypeTXT, Class: mdns.ClassINET}, Txt: []string{"v"}}})
	m.SetEdns0(1232, false)
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func sign(t testing.TB, k Key, s Stamp) (signed, mac []byte) {
	t.Helper()
	signed, mac, err := Sign(message(t), k, s)
	if err != nil {
		t.Fatal(err)
	}
	return signed, mac
}

func TestVerify(t *testing.T) {
	for _, alg := range algs {
		k := key
		k.Algorithm = alg
		request := []byte("mac of the request")
		signed, _ := sign(t, k, Stamp{Time: now, RequestMAC: request})
		with := func(change func(*Key)) Key {
			out := k
			change(&out)
			return out
		}
		tampered := slices.Clone(signed)
		tampered[bytes.IndexByte(tampered, 'v')] = 'w'
		forwarded := slices.Clone(signed)
		binary.BigEndian.PutUint16(forwarded, 99) // the ID of a forwarder
		for name, test := range map[string]struct {
			raw  []byte
			key  Key
			mac  []byte
			at   time.Time
			want error
		}{
			"right":           {signed, k, request, now, nil},
			"name's case":     {signed, with(func(k *Key) { k.Name = "kEY.example" }), request, now, nil},
			"other ID":        {forwarded, k, request, now, nil},
			"300 s later":     {signed, k, request, now.Add(Fudge), nil},
			"301 s later":     {signed, k, request, now.Add(Fudge + time.Second), ErrTime},
			"301 s before":    {signed, k, request, now.Add(-Fudge - time.Second), ErrTime},
			"tampered":        {tampered, k, request, now, ErrSignature},
			"other secret":    {signed, with(func(k *Key) { k.Secret = []byte("x") }), request, now, ErrSignature},
			"other request":   {signed, k, nil, now, ErrSignature},
			"other key":       {signed, with(func(k *Key) { k.Name = "k." }), request, now, ErrKey},
			"other algorithm": {signed, with(func(k *Key) { k.Algorithm = algs[(slices.Index(algs, alg)+1)%4] }), request, now, ErrKey},
			"unsigned":        {message(t), k, request, now, ErrUnsigned},
		} {
			if _, err := Verify(test.raw, test.key, test.mac, test.at); !errors.Is(err, test.want) {
				t.Errorf("%s %s: %v, want %v", alg, name, err, test.want)
			}
		}
		rest, _, err := Split(signed)
		if err != nil || !bytes.Equal(rest, message(t)) {
			t.Errorf("%s: Split does not give the message back: %v", alg, err)
		}
	}
}

func TestRecordErrors(t *testing.T) {
	signed, mac := sign(t, key, Stamp{Time: now, Error: mdns.RcodeBadKey})
	_, rr, err := Split(signed)
	if err != nil || mac != nil || rr.MACSize != 0 || rr.Error != mdns.RcodeBadKey {
		t.Errorf("BADKEY: %v %v", rr, err)
	}
	signed, _ = sign(t, key, Stamp{Time: now, Error: mdns.RcodeBadTime, Other: now.Add(time.Hour)})
	rr, err = Verify(signed, key, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := ServerTime(rr); !ok || !at.Equal(now.Add(time.Hour)) {
		t.Errorf("BADTIME: %v %v", at, ok)
	}
	if _, ok := ServerTime(&mdns.TSIG{OtherData: "00"}); ok {
		t.Error("a server time of one byte")
	}
}

// miekg/dns computes the same for the algorithms that it still has.
func TestAgainstMiekg(t *testing.T) {
	k := Key{Name: "k.", Algorithm: SHA256, Secret: []byte("0123456789abcdef")}
	m := new(mdns.Msg)
	if err := m.Unpack(message(t)); err != nil {
		t.Fatal(err)
	}
	m.SetTsig("k.", mdns.HmacSHA256, 300, now.Unix())
	want, _, err := mdns.TsigGenerate(m, "MDEyMzQ1Njc4OWFiY2RlZg==", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := sign(t, k, Stamp{Time: now}); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func FuzzVerify(f *testing.F) {
	signed, _ := sign(f, key, Stamp{Time: now})
	f.Add(signed)
	f.Add(message(f))
	bad, _ := sign(f, key, Stamp{Time: now, Error: mdns.RcodeBadTime, Other: now})
	f.Add(bad)
	original, _, _ := Split(signed)
	f.Fuzz(func(t *testing.T, raw []byte) {
		rr, err := Verify(raw, key, nil, now)
		if rr != nil {
			ServerTime(rr)
			Skew(rr, now)
		}
		if err != nil {
			return
		}
		rest, _, err := Split(raw)
		if err != nil {
			t.Fatal("verified, but cannot be split")
		}
		if len(rest) == len(original) && !bytes.Equal(rest[2:], original[2:]) {
			t.Fatal("another message has a good signature")
		}
	})
}
