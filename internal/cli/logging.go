package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// addQuietLogging is addLogging for a command for people: it begins to log only if a flag
// of the log is set.
func addQuietLogging(cmd *cobra.Command) (start func() error) {
	others := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { others[f.Name] = true })
	begin := addLogging(cmd)
	ours := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { ours[f.Name] = !others[f.Name] })
	return func() error {
		wanted := false
		cmd.Flags().Visit(func(f *pflag.Flag) { wanted = wanted || ours[f.Name] })
		if !wanted {
			return nil
		}
		return begin()
	}
}
