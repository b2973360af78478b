package cluster

import (
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestAnswers(t *testing.T) {
	a := NewAnswers()
	if _, ok := a.Take("none"); ok {
		t.Error("there is an answer that nobody has put")
	}
	a.Put("one", Answer{Chain: []byte("first")})
	a.Put("one", Answer{Chain: []byte("second")})
	if got, ok := a.Take("one"); !ok || string(got.Chain) != "second" {
		t.Errorf("took %q, %t", got.Chain, ok)
	}
	if _, ok := a.Take("one"); ok {
		t.Error("an answer is taken twice")
	}
	for i := range maxAnswers + 2 {
		a.Put(types.UID(strconv.Itoa(i)), Answer{})
		if i == 1 {
			a.Put("0", Answer{}) // is now the newest
		}
	}
	if n := a.items.Len(); n != maxAnswers {
		t.Errorf("%d answers are kept", n)
	}
	for uid, want := range map[types.UID]bool{"0": false, "1": false, "2": true, "513": true} {
		if _, got := a.Take(uid); got != want {
			t.Errorf("%s is kept: %t", uid, got)
		}
	}
}
