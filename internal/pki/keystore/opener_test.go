package keystore

import (
	"errors"
	"testing"
	"time"
)

// TestOpener has a store that is never decrypted: it keeps nobody waiting, and no second one
// is opened beside it.
func TestOpener(t *testing.T) {
	o := newOpener(time.Millisecond)
	end := make(chan struct{})
	_, err := decrypted(o, func() (int, error) {
		<-end
		return 0, nil
	})
	if !errors.Is(err, errMalformed) {
		t.Errorf("a store without end: %v", err)
	}
	if _, err := decrypted(o, func() (int, error) { return 0, errors.New("a second store was opened") }); !errors.Is(err, ErrBusy) {
		t.Errorf("beside it: %v", err)
	}
	close(end)
	o.patience = time.Minute
	if got, err := decrypted(o, func() (int, error) { return 7, errKey }); got != 7 || !errors.Is(err, errKey) {
		t.Errorf("after it: %d, %v", got, err)
	}
}
