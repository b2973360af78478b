package preflight

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// maxManifest bounds a file of manifests, in bytes.
const maxManifest = 4 << 20

// Manifest is what a file of manifests holds, and implements dns01.Secrets.
type Manifest struct {
	Issuers []cmv1.GenericIssuer
	// secrets are the data of Secrets by name: the file has no API server, so that a
	// namespace would only be in the way.
	secrets map[string]map[string][]byte
}

// ReadManifest reads the Issuers, ClusterIssuers and Secrets in a YAML or JSON file,
// which can have several documents. It ignores other objects. An unknown field of an
// issuer is an error.
func ReadManifest(source io.Reader) (*Manifest, error) {
	m := &Manifest{secrets: map[string]map[string][]byte{}}
	content, err := io.ReadAll(io.LimitReader(source, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxManifest {
		return nil, fmt.Errorf("it is larger than %d MiB", maxManifest>>20)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err == nil {
			err = m.add(document)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
	}
}

// add reads one document.
func (m *Manifest) add(document []byte) error {
	kind := metav1.TypeMeta{}
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch group, _, _ := strings.Cut(kind.APIVersion, "/"); {
	case kind.APIVersion == "v1" && kind.Kind == "List":
		return m.addList(document)
	case kind.APIVersion == "v1" && kind.Kind == "Secret":
		secret := corev1.Secret{}
		if err := yaml.Unmarshal(document, &secret); err != nil {
			// The library's text has parts of the value.
			return errors.New("the Secret cannot be read: data takes base64, stringData takes the text itself")
		}
		for key, value := range secret.Data {
			m.SetSecret(secret.Name, key, value)
		}
		for key, value := range secret.StringData {
			m.SetSecret(secret.Name, key, []byte(value))
		}
		return nil
	case group != cmv1.SchemeGroupVersion.Group:
		return nil
	case kind.Kind == cmv1.IssuerKind:
		return m.addIssuer(document, &cmv1.Issuer{})
	case kind.Kind == cmv1.ClusterIssuerKind:
		return m.addIssuer(document, &cmv1.ClusterIssuer{})
	default:
		return nil
	}
}

func (m *Manifest) addIssuer(document []byte, issuer cmv1.GenericIssuer) error {
	if err := yaml.UnmarshalStrict(document, issuer); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: json: "))
	}
	m.Issuers = append(m.Issuers, issuer)
	return nil
}

func (m *Manifest) addList(document []byte) error {
	list := struct {
		Items []map[string]any `json:"items"`
	}{}
	if err := yaml.Unmarshal(document, &list); err != nil {
		return err
	}
	for n, item := range list.Items {
		one, err := yaml.Marshal(item)
		if err == nil {
			err = m.add(one)
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", n+1, err)
		}
	}
	return nil
}

// SetSecret sets an entry of a Secret.
func (m *Manifest) SetSecret(name, key string, value []byte) {
	if m.secrets[name] == nil {
		m.secrets[name] = map[string][]byte{}
	}
	m.secrets[name][key] = value
}

// AddSecret sets an entry of a Secret by a text name/key=FILE or name/key=env:VARIABLE.
// A newline at the end of a file belongs to the file, not to the secret.
func (m *Manifest) AddSecret(text string) error {
	entry, source, ok := strings.Cut(text, "=")
	name, key, named := strings.Cut(entry, "/")
	if !ok || !named || name == "" || key == "" || source == "" {
		return fmt.Errorf("%q is not name/key=FILE or name/key=env:VARIABLE", entry)
	}
	if variable, ok := strings.CutPrefix(source, "env:"); ok {
		value, set := os.LookupEnv(variable)
		if !set {
			return fmt.Errorf("%s: the environment variable %s is not set", entry, variable)
		}
		m.SetSecret(name, key, []byte(value))
		return nil
	}
	value, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("%s: %w", entry, err)
	}
	m.SetSecret(name, key, bytes.TrimRight(value, "\r\n"))
	return nil
}

// Read implements dns01.Secrets.
func (m *Manifest) Read(_ context.Context, _, name string) (map[string][]byte, error) {
	return m.secrets[name], nil
}

// Find returns the issuer of a kind, which may be empty for both, and a name, which may
// be empty if there is only one.
func (m *Manifest) Find(kind, name string) (cmv1.GenericIssuer, error) {
	var found []cmv1.GenericIssuer
	var all []string
	for _, i := range m.Issuers {
		all = append(all, kindOf(i)+" "+i.GetName())
		if (kind == "" || kindOf(i) == kind) && (name == "" || i.GetName() == name) {
			found = append(found, i)
		}
	}
	slices.Sort(all)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(all) == 0:
		return nil, errors.New("it has no Issuer and no ClusterIssuer")
	case len(found) == 0:
		return nil, fmt.Errorf("it has no such issuer, but %s", strings.Join(all, ", "))
	default:
		return nil, fmt.Errorf("it has several issuers, %s: select one with --issuer or --cluster-issuer", strings.Join(all, ", "))
	}
}
