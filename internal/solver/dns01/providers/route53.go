//go:build !everleaf_no_cloud

package providers

import "github.com/everleaf/everleaf/internal/solver/dns01/route53"

func init() { all = append(all, route53.Factory) }
