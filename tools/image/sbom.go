package main

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/package-url/packageurl-go"
)

// writeSBOM writes what is in an image: the binary, every Go module that is linked into
// it, Go's standard library and the CA roots.
func (r release) writeSBOM(name string, image platformImage) error {
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	trusted, err := rootsVersion()
	if err != nil {
		return err
	}
	var content bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&content, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(r.bom(image.architecture, digest, image.info, trusted), cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return os.WriteFile(name, content.Bytes(), 0o644)
}

// bom is an image's bill of materials. It has no serial number, which would have to be
// random.
func (r release) bom(architecture string, digest v1.Hash, info *debug.BuildInfo, trusted string) *cyclonedx.BOM {
	container := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeContainer, Name: repositoryName, Version: r.version,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: digest.Hex}},
		PackageURL: packageurl.NewPackageURL(packageurl.TypeOCI, "", path.Base(repositoryName), digest.String(), packageurl.Qualifiers{
			{Key: "arch", Value: architecture}, {Key: "repository_url", Value: repositoryName}, {Key: "tag", Value: r.version},
		}, "").String(),
	}
	container.BOMRef = container.PackageURL
	product := goModule(info.Main.Path, r.version)
	product.Type = cyclonedx.ComponentTypeApplication
	product.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}}
	product.Properties = &[]cyclonedx.Property{{Name: "everleaf:commit", Value: r.revision()}}
	linked := []cyclonedx.Component{goModule("std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dependency := range info.Deps {
		linked = append(linked, goModule(inPlace(dependency)))
	}
	slices.SortFunc(linked, func(a, b cyclonedx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	needed := make([]string, len(linked))
	for i, component := range linked {
		needed[i] = component.BOMRef
	}
	files := goModule(rootsModule, trusted)
	files.Type, files.Description = cyclonedx.ComponentTypeData, "Mozilla's CA roots, in /"+rootsPath
	if slices.Contains(needed, files.BOMRef) {
		files.BOMRef += "#" + rootsPath
	}

	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Timestamp: r.committed.Format(time.RFC3339), Component: &container}
	components := slices.Concat([]cyclonedx.Component{product, files}, linked)
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{
		{Ref: container.BOMRef, Dependencies: &[]string{product.BOMRef, files.BOMRef}},
		// Which module needs which is not in a binary.
		{Ref: product.BOMRef, Dependencies: &needed},
	}
	return bom
}

// goModule is a Go module as a component. In package URLs the path has lower case; the
// name has the module's own.
func goModule(name, version string) cyclonedx.Component {
	namespace, base := path.Split(strings.ToLower(name))
	url := packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), base, version, nil, "").String()
	return cyclonedx.Component{BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: url}
}

// inPlace returns the path and version of a module, or of that which replaces it.
func inPlace(module *debug.Module) (name, version string) {
	for module.Replace != nil {
		module = module.Replace
	}
	return module.Path, module.Version
}

// rootsVersion is the version of the module with the CA roots that this program has.
func rootsVersion() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == rootsModule {
				_, version := inPlace(module)
				return version, nil
			}
		}
	}
	return "", errors.New("this program does not know the version of its module " + rootsModule)
}
