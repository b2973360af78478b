package dns01test

import "context"

// Secrets are the entries of Secrets, by namespace/name. It implements dns01.Secrets.
type Secrets map[string]map[string]string

// Read implements dns01.Secrets.
func (s Secrets) Read(_ context.Context, namespace, name string) (map[string][]byte, error) {
	entries, ok := s[namespace+"/"+name]
	if !ok {
		return nil, nil
	}
	data := map[string][]byte{}
	for key, value := range entries {
		data[key] = []byte(value)
	}
	return data, nil
}
