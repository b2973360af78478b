package cli

import (
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/configfile"
)

// flagged are options that are set by flags.
type flagged interface {
	AddFlags(*pflag.FlagSet)
	// Check returns *component.FlagErrors, joined.
	Check() error
}

// configured adds the flags of options, of the log and --config to a command. The
// function that it returns applies the file, which is of a kind, checks the flags and
// begins to log; it fails before anything has started.
func configured(cmd *cobra.Command, kind configfile.Kind, options flagged) (start func() error) {
	flags := cmd.Flags()
	options.AddFlags(flags)
	startLog := addLogging(cmd)
	path := flags.String("config", "", "file with a "+kind.Kind+"; flags count more than the file")
	return func() error {
		origins, err := kind.Apply(flags, *path)
		if err != nil {
			return err
		}
		if err := options.Check(); err != nil {
			return attribute(err, origins)
		}
		return attribute(startLog(), origins)
	}
}

// attribute names the field of the file in errors about flags that the file has set.
func attribute(err error, origins configfile.Origins) error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range several.Unwrap() {
			errs = append(errs, attribute(e, origins))
		}
		return errors.Join(errs...)
	}
	var wrong *component.FlagError
	if !errors.As(err, &wrong) || len(origins) == 0 {
		return err
	}
	message := flagName.ReplaceAllStringFunc(wrong.Error(), func(flag string) string {
		if from, ok := origins[strings.TrimPrefix(flag, "--")]; ok {
			return from
		}
		return flag
	})
	if strings.HasPrefix(message, "--") {
		return errors.New(message)
	}
	return errors.New("--config: " + message)
}

var flagName = regexp.MustCompile(`--[a-z0-9]+(-[a-z0-9]+)*`)
