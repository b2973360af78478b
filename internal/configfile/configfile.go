// Package configfile reads the configuration files of cert-manager's programs
// (--config). Each field of the file is another way to write a flag, so that a
// value has one default, one check and one place where it works.
package configfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// Kind is a kind of file: which fields it has, and which flags they stand for.
type Kind struct {
	APIVersion, Kind string
	// Fields maps the fields to flags.
	Fields map[string]string
}

// Origins has, by the name of a flag, the file and the field that have set the flag.
type Origins map[string]string

// Apply sets the flags that the file at path has values for and that were not
// set on the command line. It returns where their values are from, and an error
// that names every field that is wrong. An empty path is no file.
func (k Kind) Apply(flags *pflag.FlagSet, path string) (Origins, error) {
	if path == "" {
		return nil, nil
	}
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	values, err := k.decode(data)
	if err != nil {
		return nil, fmt.Errorf("--config: %s: %w", path, err)
	}
	origins, errs := Origins{}, []error(nil)
	for _, field := range slices.Sorted(maps.Keys(values)) {
		flag := flags.Lookup(k.Fields[field])
		if flag == nil {
			errs = append(errs, fmt.Errorf("--config: %s: %s: this command does not have it", path, field))
			continue
		}
		text, isText := values[field].(string)
		if isText && text != "" && slices.Contains(files, flag.Name) && !filepath.IsAbs(text) {
			values[field] = filepath.Join(filepath.Dir(path), text)
		}
		// Of two fields for one feature, as enableGatewayAPI and gatewayAPI.enabled,
		// either switches it on.
		_, twice := origins[flag.Name]
		if on := flag.Value.Type() == "bool" && flag.Value.String() == "true"; flag.Changed || (twice && on) {
			continue
		}
		if err := set(flag, values[field]); err != nil {
			errs = append(errs, fmt.Errorf("--config: %s: %s: %w", path, field, err))
			continue
		}
		origins[flag.Name] = path + ": " + field
	}
	return origins, errors.Join(errs...)
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, err
}

// decode returns the values of a file by field.
func (k Kind) decode(data []byte) (map[string]any, error) {
	encoded, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var content map[string]any
	if err := decoder.Decode(&content); err != nil {
		return nil, errors.New("the file does not hold an object")
	}
	var errs []error
	for field, want := range map[string]string{"apiVersion": k.APIVersion, "kind": k.Kind} {
		if got := content[field]; got != want {
			errs = append(errs, fmt.Errorf("%s: must be %q, not %v", field, want, quoted(got)))
		}
		delete(content, field)
	}
	values := map[string]any{}
	errs = append(errs, k.flatten("", content, values)...)
	return values, errors.Join(errs...)
}

// flatten collects values by field. Null and an empty text are as if the field were
// not there: cert-manager has the default for both.
func (k Kind) flatten(prefix string, content, values map[string]any) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(content)) {
		field, value := prefix+name, content[name]
		inner, isObject := value.(map[string]any)
		_, known := k.Fields[field]
		switch {
		case known && value != nil && value != "":
			values[field] = value
		case known:
		case !k.isParent(field):
			errs = append(errs, fmt.Errorf("%s: unknown field", field))
		case isObject:
			errs = append(errs, k.flatten(field+".", inner, values)...)
		case value != nil:
			errs = append(errs, fmt.Errorf("%s: must be an object, not %v", field, quoted(value)))
		}
	}
	return errs
}

func (k Kind) isParent(field string) bool {
	for known := range k.Fields {
		if strings.HasPrefix(known, field+".") {
			return true
		}
	}
	return false
}

// set gives a flag the value of a field.
func set(flag *pflag.Flag, value any) error {
	switch v := flag.Value.(type) {
	case pflag.SliceValue:
		list, err := texts(value)
		if err != nil {
			return err
		}
		return v.Replace(list)
	default:
		text, err := textOf(flag, value)
		if err != nil {
			return err
		}
		if err := flag.Value.Set(text); err != nil {
			return fmt.Errorf("%v: %w", quoted(value), err)
		}
		return nil
	}
}

func texts(value any) ([]string, error) {
	items, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("must be a list of strings, not %v", quoted(value))
	}
	list := make([]string, len(items))
	for i, item := range items {
		if list[i], ok = item.(string); !ok {
			return nil, fmt.Errorf("must be a list of strings, but item %d is %v", i, quoted(item))
		}
	}
	return list, nil
}

// textOf is the value of a field as the command line has it.
func textOf(flag *pflag.Flag, value any) (string, error) {
	var want string
	switch kind := flag.Value.Type(); kind {
	case "bool":
		if v, ok := value.(bool); ok {
			return strconv.FormatBool(v), nil
		}
		want = "true or false"
	case "duration":
		switch v := value.(type) {
		case string:
			if _, err := time.ParseDuration(v); err == nil {
				return v, nil
			}
		case json.Number:
			if n, err := v.Int64(); err == nil {
				return time.Duration(n).String(), nil
			}
		}
		want = "a duration such as 1h30m, or nanoseconds"
	case "int", "float32", "Level":
		if v, ok := value.(json.Number); ok {
			return v.String(), nil
		}
		want = "a number"
	case "quantity":
		switch v := value.(type) {
		case string:
			return v, nil
		case json.Number:
			return v.String(), nil
		}
		want = "a number of bytes, or a quantity such as 64Ki"
	case "stringToString", "mapStringBool":
		if v, ok := value.(map[string]any); ok {
			return pairs(v, kind)
		}
		want = "an object"
	case "pattern=N,...":
		if v, ok := value.([]any); ok {
			return modules(v)
		}
		want = "a list of filePattern and verbosity"
	default:
		if v, ok := value.(string); ok {
			return v, nil
		}
		want = "a string"
	}
	return "", fmt.Errorf("must be %s, not %v", want, quoted(value))
}

// pairs are the entries of an object as a list of key=value.
func pairs(object map[string]any, kind string) (string, error) {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch v := object[key].(type) {
		case bool:
			if kind == "mapStringBool" {
				list = append(list, fmt.Sprintf("%s=%t", key, v))
				continue
			}
		case string:
			if kind != "mapStringBool" {
				list = append(list, key+"="+v)
				continue
			}
		}
		want := "a string"
		if kind == "mapStringBool" {
			want = "true or false"
		}
		return "", fmt.Errorf("%q must be %s, not %v", key, want, quoted(object[key]))
	}
	return strings.Join(list, ","), nil
}

// modules are the entries of logging.vmodule as --vmodule has them.
func modules(items []any) (string, error) {
	var list []string
	for i, item := range items {
		module, ok := item.(map[string]any)
		pattern, okPattern := module["filePattern"].(string)
		verbosity, okVerbosity := module["verbosity"].(json.Number)
		if !ok || !okPattern || !okVerbosity || len(module) != 2 {
			return "", fmt.Errorf("item %d must have a filePattern and a verbosity, and nothing else", i)
		}
		list = append(list, pattern+"="+verbosity.String())
	}
	return strings.Join(list, ","), nil
}

// quoted shows a value in a message.
func quoted(value any) string {
	if value == nil {
		return "nothing"
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}
