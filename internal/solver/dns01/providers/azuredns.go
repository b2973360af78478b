//go:build !everleaf_no_cloud

package providers

import "github.com/everleaf/everleaf/internal/solver/dns01/azuredns"

func init() { all = append(all, azuredns.Factory) }
