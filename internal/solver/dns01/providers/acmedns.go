//go:build !everleaf_no_cloud

package providers

import "github.com/everleaf/everleaf/internal/solver/dns01/acmedns"

func init() { all = append(all, acmedns.Factory) }
