package pki

import (
	"math/big"
	"testing"
)

func mustSerial(t testing.TB) *big.Int {
	t.Helper()
	serial, err := newSerial()
	if err != nil {
		t.Fatal(err)
	}
	return serial
}
