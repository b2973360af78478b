package cli

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/responder"
)

// solverFlags are the flags of acmesolver.
var solverFlags = []string{"listen-port", "domain", "token", "key"}

func newACMESolverCommand() *cobra.Command {
	var (
		port   int
		answer responder.Single
	)
	cmd := &cobra.Command{
		Use:   "acmesolver",
		Short: "Answer one HTTP-01 challenge, as solver pods do",
		Long: `Answers requests for one token, by plain HTTP and TLS on one port, until it gets a
signal to stop. A solver pod runs this; the arguments are enough, without the name of
the command.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case port < 1 || port > 65535:
				return fmt.Errorf("--listen-port: must be between 1 and 65535, not %d", port)
			case answer.Domain == "" || answer.Token == "" || answer.Key == "":
				return fmt.Errorf("--domain, --token and --key must be set")
			}
			address := ":" + strconv.Itoa(port)
			listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", address)
			if err != nil {
				return fmt.Errorf("--listen-port: cannot listen on %q: %w", address, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "answering the HTTP-01 challenge of %s on %s\n", answer.Domain, listener.Addr())
			return responder.Serve(cmd.Context(), listener, responder.NewHandler(answer, nil), clock.RealClock{})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&port, "listen-port", responder.Port, "port to listen on")
	flags.StringVar(&answer.Domain, "domain", "", "name or IP address to answer for: the Host of a request, without port and brackets, must equal it")
	flags.StringVar(&answer.Token, "token", "", "token of the challenge")
	flags.StringVar(&answer.Key, "key", "", "key authorization to answer with")
	return cmd
}

// withSolver returns the arguments of a program with the name of the command in front, if
// they are only those of acmesolver: an image of cert-manager's solver has no command of
// that name, and pods pass it none.
func withSolver(args []string) []string {
	if len(args) == 0 {
		return args
	}
	name, isFlag := strings.CutPrefix(args[0], "--")
	name, _, _ = strings.Cut(name, "=")
	if isFlag && slices.Contains(solverFlags, name) {
		return append([]string{"acmesolver"}, args...)
	}
	return args
}
