package dns

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

func TestFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			f     flight[int]
			group sync.WaitGroup
			runs  int
			got   [10]int
		)
		gate := make(chan struct{})
		search := func() (int, error) {
			runs++
			<-gate
			return runs, nil
		}
		first, giveUp := context.WithCancel(t.Context())
		group.Go(func() { _, _ = f.do(first, "k", search) })
		synctest.Wait()
		for i := range got {
			group.Go(func() { got[i], _ = f.do(t.Context(), "k", search) })
		}
		synctest.Wait()
		giveUp()
		gate <- struct{}{} // ends the search whose caller has given up
		synctest.Wait()
		close(gate)
		group.Wait()
		if want := [10]int{2, 2, 2, 2, 2, 2, 2, 2, 2, 2}; got != want {
			t.Errorf("results %v of %d searches", got, runs)
		}
	})
}
