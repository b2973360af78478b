package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the tables of docs/flags.md")

const flagsPage = "../../docs/flags.md"

// TestFlagsPage checks docs/flags.md against the commands. To update the page:
// go test ./internal/cli -run TestFlagsPage -update.
func TestFlagsPage(t *testing.T) {
	root := newRootCommand()
	controller, local := command(t, root, "controller"), command(t, root, "local")
	page, err := os.ReadFile(flagsPage)
	if err != nil {
		t.Fatal(err)
	}
	got := string(page)
	want := replaceTable(t, got, "controller", flagTable(controller, nil))
	want = replaceTable(t, want, "cainjector", flagTable(command(t, root, "cainjector"), nil))
	want = replaceTable(t, want, "webhook", flagTable(command(t, root, "webhook"), nil))
	want = replaceTable(t, want, "acmesolver", flagTable(command(t, root, "acmesolver"), nil))
	want = replaceTable(t, want, "local", flagTable(local, controller))
	connected, everywhere := &cobra.Command{}, &cobra.Command{}
	new(connection).addFlags(connected)
	new(connection).addFlags(everywhere)
	addQuietLogging(everywhere)
	want = replaceTable(t, want, "connection", flagTable(connected, nil))
	want = replaceTable(t, want, "check dns01", flagTable(command(t, root, "check", "dns01"), connected))
	want = replaceTable(t, want, "explain", flagTable(command(t, root, "explain"), connected))
	want = replaceTable(t, want, "people", peopleTables(root, everywhere))
	if *update {
		if err := os.WriteFile(flagsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("docs/flags.md differs from the code, -want +got:\n%s", diff)
	}
}

func command(t *testing.T, root *cobra.Command, name ...string) *cobra.Command {
	t.Helper()
	cmd, _, err := root.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// peopleTables has a heading and a table for each command for people, without the flags
// that all of them have. Commands with a section of their own are left out.
func peopleTables(cmd, everywhere *cobra.Command) string {
	var b strings.Builder
	for _, child := range cmd.Commands() {
		if !cmd.HasParent() && child.GroupID != forPeople || child.Hidden {
			continue
		}
		switch path := child.CommandPath(); {
		case path == "everleaf explain" || path == "everleaf check dns01":
		case child.HasSubCommands():
			b.WriteString(peopleTables(child, everywhere))
		default:
			if table := flagTable(child, everywhere); strings.Count(table, "\n") > 2 {
				fmt.Fprintf(&b, "### `%s`\n\n%s\n", path, table)
			}
		}
	}
	return b.String()
}

// flagTable lists a command's flags, except those that another command has with
// the same default.
func flagTable(cmd, except *cobra.Command) string {
	var b strings.Builder
	b.WriteString("| Flag | Default | Meaning |\n|---|---|---|\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if except != nil {
			if other := except.Flags().Lookup(f.Name); other != nil && other.DefValue == f.DefValue {
				return
			}
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		value := f.DefValue
		switch value {
		case "", "[]":
			value = ""
		default:
			value = "`" + strings.Trim(value, "[]") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, value, strings.ReplaceAll(f.Usage, "|", `\|`))
	})
	return b.String()
}

// replaceTable replaces the table between its marks in the page.
func replaceTable(t *testing.T, page, mark, table string) string {
	t.Helper()
	begin, end := "<!-- begin "+mark+" -->\n", "<!-- end "+mark+" -->"
	before, rest, ok := strings.Cut(page, begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("docs/flags.md lacks the marks of %q", mark)
	}
	return before + begin + table + end + after
}
