package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// call is a call of a method or of a function of a package, in a product file.
type call struct {
	// on is what the call is made on if that is a name, as in time.Sleep, or the
	// name of another call's method, as in Status().Update.
	on, name string
	file     string
	line     int
}

// calls returns all calls in product files.
func calls(t *testing.T) []call {
	t.Helper()
	var all []call
	for _, dir := range []string{"api", "cmd", "deploy", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil || forTests(filepath.ToSlash(filepath.Dir(name))) {
				return err
			}
			files := token.NewFileSet()
			parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok {
					if s, ok := c.Fun.(*ast.SelectorExpr); ok {
						all = append(all, call{receiver(s.X), s.Sel.Name, filepath.ToSlash(name), files.Position(c.Pos()).Line})
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 1000 {
		t.Fatalf("only %d calls found", len(all))
	}
	return all
}

func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.CallExpr:
		return receiver(x.Fun)
	default:
		return ""
	}
}

// TestOneFileStoresStatuses checks that the driver is the only one to store a
// status, by the only method that does. Commands store what a user tells them to.
func TestOneFileStoresStatuses(t *testing.T) {
	where := map[string][]string{}
	for _, c := range calls(t) {
		switch {
		case within(c.file, "internal/cli"):
		case c.name == "UpdateStatus", c.name == "ApplyStatus":
			where["the driver"] = append(where["the driver"], c.file)
		case c.on == "Status" && slices.Contains([]string{"Update", "Patch", "Apply"}, c.name),
			c.on == "SubResource" && slices.Contains([]string{"Update", "Patch", "Apply"}, c.name):
			where["the writer"] = append(where["the writer"], c.file)
		}
	}
	for who, want := range map[string]string{"the driver": "internal/controller/persist.go", "the writer": "internal/cluster/writer.go"} {
		if got := where[who]; !slices.Equal(got, []string{want}) {
			t.Errorf("a status is stored in %v, want %s in %s alone", got, who, want)
		}
	}
}

func TestNothingSleeps(t *testing.T) {
	for _, c := range calls(t) {
		if c.on == "time" && c.name == "Sleep" {
			t.Errorf("%s:%d sleeps: return the time to come back at", c.file, c.line)
		}
	}
}

// TestDecisionsKnowNoClock checks that the time of a decision is an argument.
func TestDecisionsKnowNoClock(t *testing.T) {
	for _, c := range calls(t) {
		if c.on == "time" && deciding(filepath.ToSlash(filepath.Dir(c.file))) &&
			slices.Contains([]string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}, c.name) {
			t.Errorf("%s:%d reads the clock: take the time as an argument", c.file, c.line)
		}
	}
}
