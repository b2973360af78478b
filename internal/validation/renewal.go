package validation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	minDuration    = time.Hour
	minRenewBefore = 5 * time.Minute
)

// renewal checks when a certificate ends and is renewed.
func (r *Result) renewal(path *field.Path, spec *cmv1.CertificateSpec) {
	if spec.Duration != nil || spec.RenewBefore != nil {
		r.add(durations(path, spec)...)
	}
	if limit := spec.RevisionHistoryLimit; limit != nil && *limit < 1 {
		r.add(field.Invalid(path.Child("revisionHistoryLimit"), *limit, "must not be less than 1"))
	}
	if spec.Renewal != nil {
		r.windows(path.Child("renewal"), spec.Renewal)
	}
}

// durations checks the lifetime against the time before its end at which the
// certificate is renewed. The webhook computes that time from the wrong end of a
// percentage, and never looks at a percentage alone.
func durations(path *field.Path, spec *cmv1.CertificateSpec) field.ErrorList {
	var errs field.ErrorList
	duration, before, percentage := pki.DefaultDuration, spec.RenewBefore, spec.RenewBeforePercentage
	if spec.Duration != nil {
		duration = spec.Duration.Duration
	}
	long := duration >= minDuration
	if !long {
		errs = append(errs, field.Invalid(path.Child("duration"), duration.String(), fmt.Sprintf("certificate duration must be greater than %s", minDuration)))
	}
	beforePath, percentagePath := path.Child("renewBefore"), path.Child("renewBeforePercentage")
	if before != nil {
		shown := before.Duration.String()
		if percentage != nil {
			const exclusive = "renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set"
			errs = append(errs, field.Invalid(beforePath, shown, exclusive), field.Invalid(percentagePath, *percentage, exclusive))
		}
		if before.Duration < minRenewBefore {
			errs = append(errs, field.Invalid(beforePath, shown, fmt.Sprintf("certificate renewBefore must be greater than %s", minRenewBefore)))
		}
		if long && before.Duration >= duration {
			errs = append(errs, field.Invalid(beforePath, shown, fmt.Sprintf("certificate duration %s must be greater than renewBefore %s", duration, before.Duration)))
		}
	}
	if percentage != nil && spec.Duration != nil {
		if *percentage >= 100 || *percentage > 0 && duration/100*time.Duration(100-*percentage) < minRenewBefore {
			errs = append(errs, field.Invalid(percentagePath, *percentage, fmt.Sprintf("certificate renewBeforePercentage must result in a renewBefore greater than %s", minRenewBefore)))
		}
		if *percentage <= 0 {
			errs = append(errs, field.Invalid(percentagePath, *percentage, "certificate renewBeforePercentage must result in a renewBefore less than duration"))
		}
	}
	return errs
}

// windows checks the policy and the windows of renewals.
func (r *Result) windows(path *field.Path, renewal *cmv1.CertificateRenewal) {
	all := path.Child("windows")
	switch renewal.Policy {
	case cmv1.RenewalPolicyRenewBefore:
	case cmv1.RenewalPolicyDisabled:
		if len(renewal.Windows) > 0 {
			r.add(field.Forbidden(all, "windows cannot be set when `renewal.policy` is set to Disabled"))
		}
		return
	default:
		r.add(field.NotSupported(path.Child("policy"), renewal.Policy,
			[]cmv1.CertificateRenewalPolicy{cmv1.RenewalPolicyDisabled, cmv1.RenewalPolicyRenewBefore}))
		return
	}
	for i, window := range renewal.Windows {
		path := all.Index(i)
		if window.Timezone != "" {
			if _, err := time.LoadLocation(window.Timezone); err != nil {
				r.add(field.Invalid(path.Child("timezone"), window.Timezone, "invalid value for timezone. timezone must be IANA compliant"))
			}
		}
		if _, err := pki.ParseCron(window.Cron); err != nil {
			r.add(field.Invalid(path.Child("cron"), window.Cron,
				fmt.Sprintf("invalid cron syntax: %s. cron needs to follow: cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow", err)))
		}
	}
}
