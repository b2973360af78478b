package keystore

import (
	"errors"
	"time"
)

// ErrBusy is what a check returns while another store keeps this process busy: nothing is
// known of the store that was to be checked.
var ErrBusy = errors.New("other keystores are being opened")

// An opener decrypts one store at a time, and waits for it no longer than patience. The
// number of rounds of a key among encrypted certificates shows only after these are
// decrypted, and whoever has made the store has chosen it. A decryption cannot be ended:
// it goes on alone, and no other store is opened until it ends.
type opener struct {
	slot     chan struct{}
	patience time.Duration
}

func newOpener(patience time.Duration) opener {
	return opener{make(chan struct{}, 1), patience}
}

// stores opens all stores of this process. A store of ours takes milliseconds.
var stores = newOpener(5 * time.Second)

// decrypted is what decode returns, errMalformed if that takes too long, or ErrBusy.
func decrypted[T any](o opener, decode func() (T, error)) (T, error) {
	type result struct {
		store T
		err   error
	}
	var none T
	limit := time.NewTimer(o.patience)
	defer limit.Stop()
	select {
	case o.slot <- struct{}{}:
	case <-limit.C:
		return none, ErrBusy
	}
	limit.Reset(o.patience)
	done := make(chan result, 1)
	go func() {
		defer func() { <-o.slot }()
		store, err := decode()
		done <- result{store, err}
	}()
	select {
	case r := <-done:
		return r.store, r.err
	case <-limit.C:
		return none, errMalformed
	}
}
