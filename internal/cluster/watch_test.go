package cluster

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

func TestDecoder(t *testing.T) {
	order := func(name, version string) *acmev1.Order {
		return &acmev1.Order{
			TypeMeta:   metav1.TypeMeta{APIVersion: "acme.cert-manager.io/v1", Kind: "Order"},
			ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version},
		}
	}
	const head = `"apiVersion":"acme.cert-manager.io/v1","kind":"Order"`
	tests := []struct {
		name, stream string
		want         []watch.Event
		err          string
	}{
		{
			name: "objects", stream: `{"type":"ADDED","object":{` + head + `,"metadata":{"name":"a","resourceVersion":"1"}}}` + "\n" +
				`{"object":{` + head + `,"metadata":{"name":"a","resourceVersion":"2"}},"type":"MODIFIED"}` + "\n" +
				`{"type":"DELETED","object":{` + head + `,"metadata":{"name":"a","resourceVersion":"3"}}}`,
			want: []watch.Event{
				{Type: watch.Added, Object: order("a", "1")},
				{Type: watch.Modified, Object: order("a", "2")},
				{Type: watch.Deleted, Object: order("a", "3")},
			},
			err: "EOF",
		},
		{
			name: "bookmark", stream: `{"type":"BOOKMARK","object":{` + head + `,"metadata":{"resourceVersion":"9"}}}`,
			want: []watch.Event{{Type: watch.Bookmark, Object: order("", "9")}}, err: "EOF",
		},
		{
			name: "error", stream: `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`,
			want: []watch.Event{{Type: watch.Error, Object: &metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonExpired, Code: 410,
			}}},
			err: "EOF",
		},
		{name: "unknown type", stream: `{"type":"MOVED","object":{}}`, err: `the watch has an event of the unknown type "MOVED"`},
		{name: "no event", stream: `{}`, err: `the watch has an event of the unknown type ""`},
		{name: "broken off", stream: `{"type":"ADDED","object":{`, err: "unexpected EOF"},
		{name: "not JSON", stream: "<html>", err: "invalid character '<' looking for beginning of value"},
		{name: "another shape", stream: `{"type":"ADDED","object":{"metadata":7}}`, err: "json: cannot unmarshal number into Go struct field Order.metadata of type v1.ObjectMeta"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDecoder(io.NopCloser(strings.NewReader(test.stream)), func() runtime.Object { return &acmev1.Order{} })
			defer d.Close()
			var got []watch.Event
			for {
				kind, object, err := d.Decode()
				if err != nil {
					if err.Error() != test.err {
						t.Errorf("got error %q, want %q", err, test.err)
					}
					break
				}
				got = append(got, watch.Event{Type: kind, Object: object})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWatchesOpen breaks the connection of a watch: it is opened again, so that the
// informer need not list everything.
func TestWatchesOpen(t *testing.T) {
	tests := []struct {
		name   string
		broken int
		status int
		want   string
		tries  int
	}{
		{"at once", 0, http.StatusOK, "", 1},
		{"after two broken connections", 2, http.StatusOK, "", 3},
		{"never", 1000, http.StatusOK, "no watch", watchTries},
		{"refused", 0, http.StatusForbidden, "Forbidden", 1},
		{"gone", 0, http.StatusGone, "Gone", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var tries atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if tries.Add(1) > int64(test.broken) {
					rw.WriteHeader(test.status)
					return
				}
				panic(http.ErrAbortHandler)
			}))
			defer server.Close()
			w, err := NewWatches(&rest.Config{Host: server.URL}, runtime.NewScheme(), "")
			if err != nil {
				t.Fatal(err)
			}
			w.pause = time.Millisecond
			body, err := w.open(t.Context(), func() *rest.Request { return w.clients[acmev1.SchemeGroupVersion].Get().Resource("orders") })
			got := ""
			switch {
			case err != nil:
				got = "unknown"
				if status := apierrors.APIStatus(nil); errors.As(err, &status) {
					got = http.StatusText(int(status.Status().Code))
				}
			case body == nil:
				got = "no watch"
			default:
				body.Close()
			}
			if n := int(tries.Load()); got != test.want || n != test.tries {
				t.Errorf("got %q after %d tries, want %q after %d", got, n, test.want, test.tries)
			}
		})
	}
}
