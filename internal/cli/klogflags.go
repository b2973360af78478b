package cli

import "github.com/spf13/pflag"

// addKlogFlags adds the flags of klog that cert-manager still accepts. Kubernetes
// deprecated them in 1.23 (KEP-2845). They are hidden, and do nothing but print a
// warning.
func addKlogFlags(fs *pflag.FlagSet) {
	deprecated := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, name := range []string{"add-dir-header", "alsologtostderr", "logtostderr", "one-output", "skip-headers", "skip-log-headers"} {
		deprecated.Bool(name, false, "")
	}
	for _, name := range []string{"log-backtrace-at", "log-dir", "log-file", "stderrthreshold"} {
		deprecated.String(name, "", "")
	}
	deprecated.Uint64("log-file-max-size", 0, "")
	deprecated.VisitAll(func(f *pflag.Flag) {
		f.Hidden, f.Deprecated = true, "it has no effect, because the log goes to standard error; remove it"
		fs.AddFlag(f)
	})
}
