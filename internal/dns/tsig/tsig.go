// Package tsig signs DNS messages and checks their signatures with a shared
// secret (RFC 8945). It exists because miekg/dns no longer computes HMAC-MD5,
// the API's default, and checks times against the system's clock only.
package tsig

import (
	"crypto/hmac"
	"crypto/md5"  // HMAC-MD5 is the API's default algorithm.
	"crypto/sha1" // HMAC-SHA1 likewise is in use.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	mdns "github.com/miekg/dns"
)

// Algorithm is the name of an HMAC as a domain name in lower case.
type Algorithm string

// Algorithms (RFC 8945 section 6).
const (
	MD5    Algorithm = "hmac-md5.sig-alg.reg.int."
	SHA1   Algorithm = "hmac-sha1."
	SHA256 Algorithm = "hmac-sha256."
	SHA512 Algorithm = "hmac-sha512."
)

// Fudge is how far the clocks of both sides may differ (RFC 8945 section 10).
const Fudge = 300 * time.Second

// Errors of Verify. For bytes that are not a DNS message, Verify returns another
// error.
var (
	// ErrUnsigned: the message has no TSIG record.
	ErrUnsigned = errors.New("the message is not signed")
	// ErrKey: it is signed with another key or algorithm.
	ErrKey = errors.New("the message is signed with another key")
	// ErrSignature: the signature is not that of the key.
	ErrSignature = errors.New("the signature does not match")
	// ErrTime: the signature is right, but its time differs too much.
	ErrTime = errors.New("the signature is too old or too new")
)

// Key is a shared secret.
type Key struct {
	// Name is a domain name, absolute.
	Name      string
	Algorithm Algorithm
	Secret    []byte
}

var hashes = map[Algorithm]func() hash.Hash{MD5: md5.New, SHA1: sha1.New, SHA256: sha256.New, SHA512: sha512.New}

// Stamp is what a signature covers besides the message.
type Stamp struct {
	// Time is when the message is signed, in whole seconds.
	Time time.Time
	// RequestMAC is the signature of the request if the message answers one.
	RequestMAC []byte
	// Error is a TSIG error of an answer (RFC 8945 section 3): BADSIG, BADKEY
	// and BADTIME.
	Error uint16
	// Other is the server's time of a BADTIME answer; zero for none.
	Other time.Time
}

// Sign appends a TSIG record to a packed message without one. It returns the
// signed message and the signature. With Error BADSIG or BADKEY the record
// has no signature (RFC 8945 section 5.3.2).
func Sign(msg []byte, k Key, s Stamp) (signed, mac []byte, err error) {
	if len(msg) < headerSize {
		return nil, nil, errShort
	}
	rr := &mdns.TSIG{
		Hdr:        mdns.RR_Header{Name: mdns.CanonicalName(k.Name), Rrtype: mdns.TypeTSIG, Class: mdns.ClassANY},
		Algorithm:  string(k.Algorithm),
		TimeSigned: uint64(s.Time.Unix()),
		Fudge:      uint16(Fudge / time.Second),
		OrigId:     binary.BigEndian.Uint16(msg),
		Error:      s.Error,
	}
	if !s.Other.IsZero() {
		rr.OtherLen, rr.OtherData = 6, hex.EncodeToString(uint48(uint64(s.Other.Unix())))
	}
	if s.Error != mdns.RcodeBadKey && s.Error != mdns.RcodeBadSig {
		mac, err = digest(msg, rr, k, s.RequestMAC)
		if err != nil {
			return nil, nil, err
		}
		rr.MACSize, rr.MAC = uint16(len(mac)), hex.EncodeToString(mac)
	}
	record := make([]byte, mdns.Len(rr)+1)
	n, err := mdns.PackRR(rr, record, 0, nil, false)
	if err != nil {
		return nil, nil, fmt.Errorf("pack TSIG record: %w", err)
	}
	signed = append(append(make([]byte, 0, len(msg)+n), msg...), record[:n]...)
	binary.BigEndian.PutUint16(signed[10:], binary.BigEndian.Uint16(msg[10:])+1)
	return signed, mac, nil
}

// Verify checks the signature of a packed message against a key at a time.
// requestMAC is the signature of the request if the message answers one. Verify
// returns the record whenever there is one, with ErrKey, ErrSignature and
// ErrTime too.
func Verify(raw []byte, k Key, requestMAC []byte, now time.Time) (*mdns.TSIG, error) {
	msg, rr, err := Split(raw)
	if err != nil {
		return nil, err
	}
	if mdns.CanonicalName(rr.Hdr.Name) != mdns.CanonicalName(k.Name) || mdns.CanonicalName(rr.Algorithm) != string(k.Algorithm) {
		return rr, ErrKey
	}
	want, err := digest(msg, rr, k, requestMAC)
	if err != nil {
		return rr, err
	}
	got, err := hex.DecodeString(rr.MAC)
	if err != nil || !hmac.Equal(got, want) {
		return rr, ErrSignature
	}
	// The time proves nothing until the signature has been checked.
	if d := Skew(rr, now); d.Abs() > time.Duration(rr.Fudge)*time.Second {
		return rr, ErrTime
	}
	return rr, nil
}

// Skew returns how far now is ahead of the time in a record.
func Skew(rr *mdns.TSIG, now time.Time) time.Duration {
	return now.Sub(time.Unix(int64(rr.TimeSigned), 0)).Truncate(time.Second)
}

// ServerTime reads the server's clock from a BADTIME record (RFC 8945 section
// 5.2.3).
func ServerTime(rr *mdns.TSIG) (time.Time, bool) {
	other, err := hex.DecodeString(rr.OtherData)
	if err != nil || len(other) != 6 {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, other...))), 0), true
}

// digest is the HMAC over the request's signature, the message and the TSIG
// variables (RFC 8945 section 4.3).
func digest(msg []byte, rr *mdns.TSIG, k Key, requestMAC []byte) ([]byte, error) {
	fn, ok := hashes[k.Algorithm]
	if !ok {
		return nil, fmt.Errorf("algorithm %q is not supported", k.Algorithm)
	}
	variables, err := variables(rr)
	if err != nil {
		return nil, err
	}
	h := hmac.New(fn, k.Secret)
	if len(requestMAC) > 0 {
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(requestMAC))))
		h.Write(requestMAC)
	}
	h.Write(binary.BigEndian.AppendUint16(nil, rr.OrigId))
	h.Write(msg[2:])
	h.Write(variables)
	return h.Sum(nil), nil
}

func variables(rr *mdns.TSIG) ([]byte, error) {
	out, err := wireName(nil, rr.Hdr.Name)
	if err != nil {
		return nil, err
	}
	out = binary.BigEndian.AppendUint16(out, mdns.ClassANY)
	out = binary.BigEndian.AppendUint32(out, 0)
	if out, err = wireName(out, rr.Algorithm); err != nil {
		return nil, err
	}
	out = append(out, uint48(rr.TimeSigned)...)
	out = binary.BigEndian.AppendUint16(out, rr.Fudge)
	out = binary.BigEndian.AppendUint16(out, rr.Error)
	out = binary.BigEndian.AppendUint16(out, rr.OtherLen)
	other, err := hex.DecodeString(rr.OtherData)
	if err != nil {
		return nil, fmt.Errorf("TSIG other data: %w", err)
	}
	return append(out, other...), nil
}

func wireName(out []byte, name string) ([]byte, error) {
	var buf [256]byte
	n, err := mdns.PackDomainName(mdns.CanonicalName(name), buf[:], 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("name %q: %w", name, err)
	}
	return append(out, buf[:n]...), nil
}

func uint48(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n)[2:] }
