package harness

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Restore stores objects in etcd as a backup has them: with their UIDs, times and
// managed fields, which no client of the API server can set. It makes their namespaces.
func (c *Cluster) Restore(tb testing.TB, objects ...*unstructured.Unstructured) {
	tb.Helper()
	config := c.EtcdConfig()
	etcd, err := rest.HTTPClientFor(config)
	if err != nil {
		tb.Fatal(err)
	}
	defer etcd.CloseIdleConnections()
	for _, o := range objects {
		if namespace := o.GetNamespace(); namespace != "" {
			err := c.Create(tb.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				tb.Fatal(err)
			}
		}
		stored := o.DeepCopy()
		// The API server takes etcd's revision.
		stored.SetResourceVersion("")
		value, err := stored.MarshalJSON()
		if err != nil {
			tb.Fatal(err)
		}
		if err := put(tb.Context(), etcd, config.Host, registryKey(o), value); err != nil {
			tb.Fatalf("restore %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// registryKey is where the API server keeps an object in etcd. Only the keys of custom
// resources have the group.
func registryKey(o *unstructured.Unstructured) string {
	kind := o.GroupVersionKind()
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	group := ""
	if kind.Group == cmv1.GroupName || kind.Group == acmev1.GroupName {
		group = kind.Group
	}
	return path.Join("/registry", group, plural.Resource, o.GetNamespace(), o.GetName())
}

// put writes a key by etcd's gRPC gateway.
func put(ctx context.Context, etcd *http.Client, host, key string, value []byte) error {
	body, err := json.Marshal(map[string]string{
		"key": base64.StdEncoding.EncodeToString([]byte(key)), "value": base64.StdEncoding.EncodeToString(value),
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, host+"/v3/kv/put", bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := etcd.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("etcd answers %s: %s", answer.Status, text)
	}
	return nil
}

// Shifted is a clock that goes as that of the machine does, but shows another time.
func Shifted(by time.Duration) clock.WithTicker { return shifted{by: by} }

type shifted struct {
	clock.RealClock
	by time.Duration
}

// Now implements clock.PassiveClock.
func (s shifted) Now() time.Time { return s.RealClock.Now().Add(s.by) }

// Since implements clock.PassiveClock.
func (s shifted) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

// Movable is a clock that goes as that of the machine does, and that a test moves.
type Movable struct {
	clock.RealClock
	by atomic.Int64
}

// Move has the clock show a later time. Deadlines are noticed within schedule.Interval.
func (m *Movable) Move(by time.Duration) { m.by.Add(int64(by)) }

// Now implements clock.PassiveClock.
func (m *Movable) Now() time.Time { return m.RealClock.Now().Add(time.Duration(m.by.Load())) }

// Since implements clock.PassiveClock.
func (m *Movable) Since(t time.Time) time.Duration { return m.Now().Sub(t) }
