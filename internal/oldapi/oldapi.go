// Package oldapi converts objects of the API versions before v1 to v1. Nothing serves
// these versions; manifests of them are still around.
package oldapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The groups, and the version that objects are converted to.
const (
	Group     = "cert-manager.io"
	ACMEGroup = "acme.cert-manager.io"
	Version   = "v1"
)

const (
	v1alpha2 = "v1alpha2"
	v1alpha3 = "v1alpha3"
	v1beta1  = "v1beta1"
)

// kinds are the kinds of each group.
var kinds = map[string][]string{
	Group:     {"Certificate", "CertificateRequest", "Issuer", "ClusterIssuer"},
	ACMEGroup: {"Order", "Challenge"},
}

// Known reports whether an object is of a kind of the API, or a list of one.
func Known(object map[string]any) bool {
	group, _, kind := typeOf(object)
	return slices.Contains(kinds[group], strings.TrimSuffix(kind, "List"))
}

// typeOf splits the type of an object.
func typeOf(object map[string]any) (group, version, kind string) {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ = object["kind"].(string)
	group, version, _ = strings.Cut(apiVersion, "/")
	return group, version, kind
}

// Convert changes an object, or each object of a list, to v1. An object of v1 and one of
// another API stay as they are. After an error the object is of no use. The error begins
// with the path of the field.
func Convert(object map[string]any) error {
	if items, ok := object["items"].([]any); ok {
		for i, item := range items {
			child, ok := item.(map[string]any)
			if !ok {
				return fmt.Errorf("items[%d]: is no object", i)
			}
			if err := Convert(child); err != nil {
				return fmt.Errorf("items[%d]: %w", i, err)
			}
		}
	}
	group, version, kind := typeOf(object)
	if !Known(object) || version == Version {
		return nil
	}
	if version != v1alpha2 && version != v1alpha3 && version != v1beta1 {
		return fmt.Errorf("apiVersion: %s/%s is not known: there are %s, %s, %s and %s", group, version, v1alpha2, v1alpha3, v1beta1, Version)
	}
	if err := convert(object, version, kind); err != nil {
		return err
	}
	object["apiVersion"] = group + "/" + Version
	return nil
}

func convert(object map[string]any, version, kind string) error {
	spec, err := child(object, "spec")
	if spec == nil {
		return err
	}
	alpha := version != v1beta1
	switch kind {
	case "Certificate":
		err = certificate(spec, alpha)
	case "CertificateRequest", "Order":
		if alpha {
			err = rename(spec, "csr", "request")
		}
	case "Challenge":
		if alpha {
			err = challenge(spec)
		}
	case "Issuer", "ClusterIssuer":
		if alpha {
			err = issuer(spec)
		}
	}
	return at("spec", err)
}

// at puts a path before the path of an error.
func at(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s.%w", path, err)
}

func certificate(spec map[string]any, alpha bool) error {
	errs := []error{rename(spec, "emailSANs", "emailAddresses"), rename(spec, "uriSANs", "uris")}
	if alpha {
		errs = append(errs,
			words(spec, "keyAlgorithm", map[string]string{"rsa": "RSA", "ecdsa": "ECDSA"}),
			words(spec, "keyEncoding", map[string]string{"pkcs1": "PKCS1", "pkcs8": "PKCS8"}),
			moveInto(spec, "keyAlgorithm", "privateKey", "algorithm"),
			moveInto(spec, "keyEncoding", "privateKey", "encoding"),
			moveInto(spec, "keySize", "privateKey", "size"),
			moveInto(spec, "organization", "subject", "organizations"))
	}
	return first(errs)
}

func challenge(spec map[string]any) error {
	errs := []error{
		rename(spec, "authzURL", "authorizationURL"),
		words(spec, "type", map[string]string{"http-01": "HTTP-01", "dns-01": "DNS-01"}),
	}
	solved, err := child(spec, "solver")
	errs = append(errs, err, at("solver", solver(solved)))
	return first(errs)
}

func issuer(spec map[string]any) error {
	acme, err := child(spec, "acme")
	if acme == nil || err != nil {
		return err
	}
	if acme["solvers"] == nil {
		return nil
	}
	solvers, ok := acme["solvers"].([]any)
	if !ok {
		return errors.New("acme.solvers: is no list")
	}
	for i := range solvers {
		one, ok := solvers[i].(map[string]any)
		if !ok {
			return fmt.Errorf("acme.solvers[%d]: is no object", i)
		}
		if err := solver(one); err != nil {
			return fmt.Errorf("acme.solvers[%d].%w", i, err)
		}
	}
	return nil
}

func solver(solver map[string]any) error {
	dns01, err := child(solver, "dns01")
	if dns01 == nil {
		return err
	}
	return at("dns01", first([]error{rename(dns01, "acmedns", "acmeDNS"), rename(dns01, "azuredns", "azureDNS"), rename(dns01, "clouddns", "cloudDNS")}))
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// child returns the object in a field, nil if there is none.
func child(object map[string]any, field string) (map[string]any, error) {
	switch value := object[field].(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return value, nil
	default:
		return nil, fmt.Errorf("%s: is no object", field)
	}
}

// rename gives a field its new name.
func rename(object map[string]any, from, to string) error {
	value, ok := object[from]
	if !ok {
		return nil
	}
	if object[to] != nil {
		return fmt.Errorf("%s: %s, its new name, is set too", from, to)
	}
	delete(object, from)
	object[to] = value
	return nil
}

// moveInto moves a field into the object of another one. Without a value there is nothing
// to move: v1 has no empty words there.
func moveInto(object map[string]any, from, parent, to string) error {
	value := object[from]
	switch value {
	case nil, "", int64(0), float64(0):
		delete(object, from)
		return nil
	}
	inner, err := child(object, parent)
	if err != nil {
		return err
	}
	if inner == nil {
		inner = map[string]any{}
		object[parent] = inner
	}
	if inner[to] != nil {
		return fmt.Errorf("%s: %s.%s, its new name, is set too", from, parent, to)
	}
	delete(object, from)
	inner[to] = value
	return nil
}

// words replaces a word by its new spelling. Capitals do not matter.
func words(object map[string]any, field string, spelling map[string]string) error {
	value := object[field]
	if value == nil || value == "" {
		return nil
	}
	if word, ok := value.(string); ok {
		if spelled := spelling[strings.ToLower(word)]; spelled != "" {
			object[field] = spelled
			return nil
		}
	}
	return fmt.Errorf("%s: %v is none of %s", field, value, strings.Join(slices.Sorted(maps.Keys(spelling)), ", "))
}
