//go:build !everleaf_no_cloud

package providers

import "github.com/everleaf/everleaf/internal/solver/dns01/digitalocean"

func init() { all = append(all, digitalocean.Factory) }
