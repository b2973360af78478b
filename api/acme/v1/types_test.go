package v1

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestState(t *testing.T) {
	type kind struct{ Failed, Final bool }
	want := map[State]kind{
		Unknown:    {},
		Pending:    {},
		Ready:      {},
		Processing: {},
		Valid:      {Final: true},
		Invalid:    {Failed: true, Final: true},
		Expired:    {Failed: true, Final: true},
		Errored:    {Failed: true, Final: true},
	}
	got := map[State]kind{}
	for state := range want {
		got[state] = kind{Failed: state.Failed(), Final: state.Final()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestResourceQuantity(t *testing.T) {
	tests := map[string]struct {
		want ResourceQuantity
		fail bool
	}{
		`"64Mi"`:      {want: "64Mi"},
		`"1e1.5"`:     {want: "1e1.5"},
		`""`:          {want: ""},
		`5`:           {want: "5"},
		`99999999999`: {want: "99999999999"},
		`-1`:          {want: "-1"},
		`null`:        {want: ""},
		`{}`:          {fail: true},
		`true`:        {fail: true},
	}
	for text, test := range tests {
		t.Run(text, func(t *testing.T) {
			var got ResourceQuantity
			err := json.Unmarshal([]byte(text), &got)
			if failed := err != nil; failed != test.fail || got != test.want {
				t.Errorf("got %q, %v; want %q, an error: %v", got, err, test.want, test.fail)
			}
		})
	}
}
