//go:build !everleaf_no_cloud

package providers

import "github.com/everleaf/everleaf/internal/solver/dns01/akamai"

func init() { all = append(all, akamai.Factory) }
