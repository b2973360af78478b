package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/everleaf/everleaf/internal/oldapi"
)

func newConvertCommand() *cobra.Command {
	var (
		from            manifests
		version, output string
	)
	cmd := &cobra.Command{
		Use: "convert (-f FILE | -k DIRECTORY)", Short: "Convert manifests of v1alpha2, v1alpha3 and v1beta1 to v1", Args: cobra.NoArgs,
		Long: `Prints the objects of files as objects of cert-manager.io/v1 and
acme.cert-manager.io/v1. Several objects become one List. Objects of other APIs are
printed as they are, which is said on standard error.

Comments and the order of the fields are lost. No cluster is asked, and no file is
changed.`,
		Example: `  everleaf convert -f certificate.yaml
  everleaf convert -R -f manifests/ -o json`,
	}
	flags := cmd.Flags()
	from.addFlags(flags)
	flags.StringVar(&version, "output-version", "", "version to convert to: cert-manager.io/v1 or acme.cert-manager.io/v1; nothing is the one that a kind has")
	flags.StringVarP(&output, "output", "o", "yaml", "yaml or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "yaml" && output != "json" {
			return fmt.Errorf("--output: must be yaml or json, not %q", output)
		}
		switch version {
		case "", oldapi.Version, oldapi.Group + "/" + oldapi.Version, oldapi.ACMEGroup + "/" + oldapi.Version:
		default:
			return fmt.Errorf("--output-version: objects are converted to %[1]s/%[3]s and %[2]s/%[3]s, not to %[4]q", oldapi.Group, oldapi.ACMEGroup, oldapi.Version, version)
		}
		objects, list, err := from.read()
		switch {
		case err != nil:
			return err
		case len(objects) == 0:
			return errors.New("no objects passed to convert")
		}
		var items []any
		for _, object := range objects {
			named := fmt.Sprintf("%s %s", object.GetKind(), object.GetName())
			if !oldapi.Known(object.Object) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s is not of cert-manager's API: it is printed as it is\n", named, object.GetAPIVersion())
			}
			if err := oldapi.Convert(object.Object); err != nil {
				return fmt.Errorf("convert %s: %w", named, err)
			}
			items = append(items, object.Object)
		}
		if !list {
			return printStructured(cmd.OutOrStdout(), output, items[0])
		}
		return printStructured(cmd.OutOrStdout(), output, map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items})
	}
	return cmd
}
