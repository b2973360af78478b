// Package etcd writes to the etcd of an API server, past the API server, as a restored
// backup does.
package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Key is where the API server keeps an object. Only the keys of custom resources have the
// group.
func Key(o *unstructured.Unstructured) []byte {
	kind := o.GroupVersionKind()
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	group := ""
	if kind.Group == cmv1.GroupName || kind.Group == acmev1.GroupName {
		group = kind.Group
	}
	return []byte(path.Join("/registry", group, plural.Resource, o.GetNamespace(), o.GetName()))
}

// Put is a write of etcd's gRPC gateway, which has bytes in base64 as encoding/json does.
type Put struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

// PutAll makes writes in one transaction. etcd takes 128 of them and 1.5 MiB.
func PutAll(ctx context.Context, client *http.Client, host string, puts ...Put) error {
	type operation struct {
		Put Put `json:"requestPut"`
	}
	var all struct {
		Success []operation `json:"success"`
	}
	for _, p := range puts {
		all.Success = append(all.Success, operation{p})
	}
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, host+"/v3/kv/txn", bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("etcd answers %s: %s", answer.Status, text)
	}
	return err
}
