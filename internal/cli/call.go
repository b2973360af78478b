package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

const (
	// usualName is the name of the program.
	usualName = "everleaf"
	// pluginName and its prefix are the file names by which kubectl finds a plugin and
	// what completes its arguments.
	pluginName       = "kubectl-cert_manager"
	pluginCompletion = "kubectl_complete-cert_manager"
)

// call is how the program was started.
type call struct {
	// name is the command as a user types it.
	name string
	// completion reports that kubectl asks for words that complete the arguments.
	completion bool
}

// callOf tells by the name of its file how the program was started. A file named
// kubectl-cert_manager is the plugin "kubectl cert-manager", and kubectl_complete-cert_manager
// completes its arguments. cmctl keeps its name.
func callOf(program string) call {
	switch name := strings.TrimSuffix(filepath.Base(program), ".exe"); name {
	case pluginName:
		return call{name: "kubectl cert-manager"}
	case pluginCompletion:
		return call{name: "kubectl cert-manager", completion: true}
	case "cmctl":
		return call{name: name}
	default:
		return call{name: usualName}
	}
}

// rename makes the help of a command and those below it name the program as it was
// called.
func (c call) rename(cmd *cobra.Command) {
	if c.name == usualName {
		return
	}
	if !cmd.HasParent() {
		cmd.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: c.name}
		if !strings.Contains(c.name, " ") {
			// The program that completes commands is for this name, too.
			cmd.Use = c.name
		}
	}
	name := strings.NewReplacer(usualName+" ", c.name+" ", "d/"+usualName, "d/"+c.name, "/_"+usualName, "/_"+c.name, "/"+usualName+".fish", "/"+c.name+".fish")
	cmd.Long, cmd.Example = name.Replace(cmd.Long), name.Replace(cmd.Example)
	for _, child := range cmd.Commands() {
		c.rename(child)
	}
}
