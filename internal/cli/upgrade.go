package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/installed"
)

func newUpgradeCommand() *cobra.Command {
	cmd := kindCommand("upgrade", "Prepare a cluster for newer releases", "migrate-api-version")
	cmd.AddCommand(newMigrateAPIVersionCommand())
	return cmd
}

func newMigrateAPIVersionCommand() *cobra.Command {
	var (
		to    connection
		skip  bool
		qps   float32
		burst int
	)
	cmd := &cobra.Command{
		Use: "migrate-api-version", Short: "Store all objects of the API as v1", Args: cobra.NoArgs,
		Long: `Writes every object of CRDs that have been stored in versions before v1 once more,
unchanged, so that the API server stores it as v1, and removes the old versions from
the CRDs' status.storedVersions. Releases of CRDs without these versions can be
installed after that. It can be repeated.`,
	}
	flags := cmd.Flags()
	to.addFlags(cmd)
	flags.BoolVar(&skip, "skip-stored-version-check", false, "write the objects of all CRDs, also of those that say v1")
	flags.Float32Var(&qps, "qps", 5, "requests per second")
	flags.IntVar(&burst, "burst", 10, "requests that may exceed --qps for a moment")
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case qps <= 0:
			return fmt.Errorf("--qps: must be greater than 0, not %v", qps)
		case burst <= 0:
			return fmt.Errorf("--burst: must be greater than 0, not %d", burst)
		}
		if err := startLog(); err != nil {
			return err
		}
		config, _, err := to.open("everleaf-upgrade", "")
		if err != nil {
			return err
		}
		config.QPS, config.Burst = qps, burst
		cluster, err := crdClient(config)
		if err != nil {
			return err
		}
		return migrate(cmd.Context(), cluster, skip, cmd.OutOrStdout())
	}
	return cmd
}

// crdClient is a client that knows CRDs.
func crdClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	cluster, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, unreachable(err)
	}
	return cluster, nil
}

// installedCRDs reads the CRDs of the API, as far as they are there.
func installedCRDs(ctx context.Context, cluster client.Client) ([]apiextensionsv1.CustomResourceDefinition, error) {
	var found []apiextensionsv1.CustomResourceDefinition
	for _, name := range installed.CRDs {
		crd := apiextensionsv1.CustomResourceDefinition{}
		switch err := cluster.Get(ctx, client.ObjectKey{Name: name}, &crd); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, unread("CustomResourceDefinition", "", name, err)
		default:
			found = append(found, crd)
		}
	}
	return found, nil
}

func migrate(ctx context.Context, cluster client.Client, skip bool, out io.Writer) error {
	crds, err := installedCRDs(ctx, cluster)
	if err != nil {
		return err
	}
	if len(crds) == 0 {
		return installed.ErrNoCRDs
	}
	var old []*apiextensionsv1.CustomResourceDefinition
	for i := range crds {
		needed, err := installed.NeedsMigration(&crds[i])
		if err != nil {
			return err
		}
		if needed || skip {
			old = append(old, &crds[i])
		}
	}
	if len(old) == 0 {
		fmt.Fprintln(out, "Nothing to do: the objects of all cert-manager CRDs are stored as v1.")
		return nil
	}
	// All objects are written before a CRD says so: a run that ends early changes nothing
	// that the next one needs to know.
	for _, crd := range old {
		n, err := rewrite(ctx, cluster, crd)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d objects written\n", crd.Name, n)
	}
	for _, crd := range old {
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			if err := cluster.Get(ctx, client.ObjectKeyFromObject(crd), crd); err != nil {
				return err
			}
			crd.Status.StoredVersions = []string{installed.StoredVersion}
			return cluster.Status().Update(ctx, crd)
		})
		if err != nil {
			return fmt.Errorf("set status.storedVersions of the CustomResourceDefinition %s: %w", crd.Name, err)
		}
	}
	fmt.Fprintln(out, "All objects of the cert-manager CRDs are stored as v1.")
	return nil
}

// page bounds the objects of one answer of the API server.
const page = 500

// rewrite writes the objects of a CRD unchanged, and returns how many there are. Objects
// that change or vanish meanwhile have been written, or are gone.
func rewrite(ctx context.Context, cluster client.Client, crd *apiextensionsv1.CustomResourceDefinition) (int, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: crd.Spec.Group, Version: installed.StoredVersion, Kind: crd.Spec.Names.ListKind})
	n := 0
	for {
		if err := cluster.List(ctx, list, client.Limit(page), client.Continue(list.GetContinue())); err != nil {
			return n, unreachable(err)
		}
		for i := range list.Items {
			object := &list.Items[i]
			err := cluster.Update(ctx, object)
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return n, fmt.Errorf("write %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
			}
			n++
		}
		if list.GetContinue() == "" {
			return n, nil
		}
	}
}
