package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// bareNames has the names of objects of a kind without the kind, which other programs
// accept before it, as in certificate/www.
func bareNames(kind string, args []string) error {
	for i, arg := range args {
		typed, name, qualified := strings.Cut(arg, "/")
		if !qualified {
			name = arg
		} else if typed, _, _ = strings.Cut(strings.ToLower(typed), "."); typed != strings.ToLower(kind) && typed != strings.ToLower(kind)+"s" && typedKinds[typed] != kind {
			return fmt.Errorf("%q is not the name of a %s", arg, kind)
		}
		if name == "" || len(content.IsPathSegmentName(name)) > 0 {
			return fmt.Errorf("%q is not the name of a %s", arg, kind)
		}
		args[i] = name
	}
	return nil
}

// oneName accepts the name of one object of a kind.
func oneName(kind string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("the name of the %s has to be provided as an argument", kind)
		case 1:
			return bareNames(kind, args)
		default:
			return fmt.Errorf("only one argument can be passed: the name of the %s", kind)
		}
	}
}

// completionTime bounds the request for names while a shell waits.
const completionTime = 3 * time.Second

// names completes arguments, most at most, by the names of the objects of a kind in the
// namespace that the flags select. Without a cluster it completes nothing.
func names(to *connection, kind string, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := namesOf(cmd.Context(), to, kind)
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.DeleteFunc(found, func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf lists the names of objects.
func namesOf(ctx context.Context, to *connection, kind string) ([]string, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	cluster, namespace, err := to.client("everleaf-completion")
	if err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(groupVersionOf(kind).WithKind(kind + "List"))
	if err := cluster.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	var found []string
	for i := range list.Items {
		found = append(found, list.Items[i].Name)
	}
	return found, nil
}

// groupVersionOf is the group and version of a kind that commands name.
func groupVersionOf(kind string) schema.GroupVersion {
	switch kind {
	case "Secret", "Namespace":
		return corev1.SchemeGroupVersion
	case acmev1.OrderKind, acmev1.ChallengeKind:
		return acmev1.SchemeGroupVersion
	default:
		return cmv1.SchemeGroupVersion
	}
}
