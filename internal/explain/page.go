package explain

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// listAll reads the objects of a kind that are wanted, page by page, so that those
// which are not wanted need not be kept. namespace may be empty, for all.
func listAll[T any, P interface {
	*T
	client.Object
}](ctx context.Context, from client.Reader, namespace string, into client.ObjectList, wanted func(P) bool) ([]T, error) {
	var out []T
	for next := ""; ; {
		if err := from.List(ctx, into, client.InNamespace(namespace), client.Limit(page), client.Continue(next)); err != nil {
			return nil, err
		}
		err := meta.EachListItem(into, func(o runtime.Object) error {
			one, ok := o.(P)
			if !ok {
				return fmt.Errorf("a list has a %T", o)
			}
			if wanted(one) {
				trim(one)
				out = append(out, *one)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if next = into.GetContinue(); next == "" {
			return out, nil
		}
	}
}

// ownerOf names the controller of an object if it is of a kind.
func ownerOf(o client.Object, kind string) string {
	if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == kind {
		return owner.Name
	}
	return ""
}
