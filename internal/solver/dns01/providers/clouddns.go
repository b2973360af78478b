//go:build !everleaf_no_cloud

package providers

import "github.com/everleaf/everleaf/internal/solver/dns01/clouddns"

func init() { all = append(all, clouddns.Factory) }
