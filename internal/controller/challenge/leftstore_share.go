package challenge

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

const (
	// maxStored is how many records are stored.
	maxStored = 100
	// maxEntry is how many bytes one of them may have: its solver, and with it the config
	// of a webhook, is what a tenant writes.
	maxEntry = 32 << 10
	// maxList is how many bytes all may have. The API server takes 1 MiB.
	maxList = 512 << 10
)

// entry is the JSON text of a stored record, and what decides whether there is room for it.
type entry struct {
	namespace string
	since     time.Time
	data      []byte
}

func entryOf(l *leftover) (entry, error) {
	data, err := json.Marshal(stored{l.begun, l.issuer.ref, l.issuer.uid, l.since})
	if err == nil && len(data) > maxEntry {
		err = fmt.Errorf("it has %d bytes, and may have %d: its solver is too large", len(data), maxEntry)
	}
	return entry{l.begun.Namespace, l.since, data}, err
}

// fairly returns the entries that are stored: the newest of each namespace, where the
// namespace that has the fewest bytes so far comes next, and of these the one with the
// newest entry.
func fairly(all []entry) []entry {
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(b.since.Compare(a.since), cmp.Compare(a.namespace, b.namespace), bytes.Compare(a.data, b.data))
	})
	var chosen []entry
	total, used := 0, map[string]int{}
	for len(all) > 0 && len(chosen) < maxStored {
		next := 0
		for i := range all {
			if used[all[i].namespace] < used[all[next].namespace] {
				next = i
			}
		}
		// A comma or a bracket comes with each, and one bracket more.
		e := all[next]
		all = slices.Delete(all, next, next+1)
		if size := len(e.data) + 1; total+size < maxList {
			total, used[e.namespace] = total+size, used[e.namespace]+size
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// listOf returns the JSON text of entries, nothing if there are none.
func listOf(entries []entry) []byte {
	if len(entries) == 0 {
		return nil
	}
	var list bytes.Buffer
	for i, e := range entries {
		list.WriteByte("[,"[min(i, 1)])
		list.Write(e.data)
	}
	list.WriteByte(']')
	return list.Bytes()
}
