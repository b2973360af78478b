package main

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push uploads the image of all architectures and returns its name with the digest. The
// credentials are those that docker login and podman login store. A tag that is absent
// is the version.
func push(ctx context.Context, destination string, built release) (string, error) {
	tag, err := name.NewTag(destination, name.WithDefaultTag(built.version))
	if err != nil {
		return "", fmt.Errorf("-push: %w", err)
	}
	err = remote.WriteIndex(tag, built.index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("everleaf-image"))
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", tag.Name(), err)
	}
	digest, err := built.index.Digest()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s@%s", tag.Name(), digest), nil
}
