package cluster

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
)

const (
	// maxRecent bounds the Secrets that are kept, recently is how long each is.
	maxRecent = 64
	recently  = time.Minute
)

// RecentSecrets reads the Secrets of issuers, live or, for a minute, as they were read
// last, if the watch shows no newer version: each Challenge of an issuer needs the
// same.
type RecentSecrets struct {
	secrets *Secrets
	recent  *cache.LRUExpireCache
}

type recentSecret struct {
	version string
	data    map[string][]byte
}

// NewRecentSecrets returns RecentSecrets that keep nothing yet.
func NewRecentSecrets(secrets *Secrets, clock clock.PassiveClock) *RecentSecrets {
	return &RecentSecrets{secrets, cache.NewLRUExpireCacheWithClock(maxRecent, clock)}
}

// Read returns a Secret's data, not to be changed, nil if there is no such Secret.
func (s *RecentSecrets) Read(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	key, version := namespace+"/"+name, s.secrets.Version(namespace, name)
	if kept, ok := s.recent.Get(key); ok && version != "" && kept.(recentSecret).version == version {
		return kept.(recentSecret).data, nil
	}
	secret, err := s.secrets.Live(ctx, namespace, name)
	if secret == nil || err != nil {
		s.recent.Remove(key)
		return nil, err
	}
	data := dataOf(secret)
	s.recent.Add(key, recentSecret{secret.ResourceVersion, data}, recently)
	return data, nil
}
