package chart

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/everleaf/everleaf/internal/operator"
)

// schema is what matters of a JSON schema.
type schema struct {
	Ref                  string `json:"$ref"`
	Properties           map[string]schema
	AdditionalProperties json.RawMessage
	Definitions          map[string]schema
}

func readSchema(t *testing.T) schema {
	t.Helper()
	text, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// keys are the paths of all values that the schema has.
func (s schema) keys(all map[string]schema, path string, visit func(path string, s schema)) {
	if name := strings.TrimPrefix(s.Ref, "#/definitions/"); name != s.Ref {
		s = all[name]
	}
	visit(path, s)
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		s.Properties[key].keys(all, strings.TrimPrefix(path+"."+key, "."), visit)
	}
}

// TestEveryValue holds that values.yaml mentions every value of the schema, that the file
// with all values has it, and that the schema is closed except for global.
func TestEveryValue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var every map[string]any
	file, err := os.ReadFile("testdata/every-value.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(file, &every); err != nil {
		t.Fatal(err)
	}
	s := readSchema(t)
	s.keys(s.Definitions, "", func(path string, s schema) {
		if path == "" {
			return
		}
		key := path[strings.LastIndex(path, ".")+1:]
		if !regexp.MustCompile(`(?m)^ *(# ?)?` + key + `:`).Match(text) {
			t.Errorf("values.yaml does not mention %s", path)
		}
		parent, _ := cutLast(path, ".")
		if parent == path {
			parent = ""
		}
		if within, ok := at(t, every, parent).(map[string]any); ok {
			if _, there := within[key]; !there {
				t.Errorf("testdata/every-value.yaml does not set %s", path)
			}
		}
		if open := strings.HasPrefix(path, "global"); len(s.Properties) > 0 && open == (string(s.AdditionalProperties) == "false") {
			t.Errorf("%s: additional properties are %s", path, s.AdditionalProperties)
		}
	})
}

// TestControllerAcceptsArguments holds that the controller has the flags that the chart
// gives it.
func TestControllerAcceptsArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--values", "testdata/every-value.yaml"}} {
		all := rendering{args: args}.render(t)
		containers := all.get(t, controller, inPod+"containers").([]any)
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		options := operator.Defaults()
		options.AddFlags(flags)
		flags.String("config", "", "")
		flags.StringP("v", "v", "", "")
		var list []string
		for _, arg := range at(t, containers[len(containers)-1], "args").([]any) {
			list = append(list, arg.(string))
		}
		if err := flags.Parse(list); err != nil {
			t.Errorf("%v: %v", list, err)
		}
	}
}
