package acme

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/everleaf/everleaf/internal/fault"
)

func TestClassify(t *testing.T) {
	problem := func(status int, acmeType, action string) error {
		p := &Problem{Status: status, action: action}
		if acmeType != "" {
			p.Type = ErrorNamespace + acmeType
		}
		return p
	}
	with := func(subproblems ...string) error {
		p := &Problem{Status: 400, Type: ErrorNamespace + TypeCompound, action: actionNewOrder}
		for _, s := range subproblems {
			p.Subproblems = append(p.Subproblems, Problem{Type: ErrorNamespace + s})
		}
		return p
	}
	paused := &Problem{
		Status: 429, Type: ErrorNamespace + TypeRateLimited, action: actionNewOrder,
		Detail: "Your account is temporarily prevented from requesting certificates for a.example.com. Please visit: https://portal.example/unpause?jwt=a.b.c",
	}
	invalid := &Problem{Status: 403, Type: ErrorNamespace + TypeUnauthorized, action: actionNewOrder, accountInvalid: true}
	type predicates struct{ gone, notReady, account, limited, replaced bool }
	for name, test := range map[string]struct {
		err    error
		class  fault.Class
		reason string
		is     predicates
	}{
		"network":        {&NetworkError{Host: "ca", Why: "x"}, fault.Transient, "NetworkError", predicates{}},
		"not ACME":       {&ServerError{Host: "ca", What: "x"}, fault.Transient, "ServerError", predicates{}},
		"unknown error":  {context.Canceled, fault.Transient, "", predicates{}},
		"no account yet": {ErrNoAccount, fault.User, "AccountDoesNotExist", predicates{account: true}},
		"classified":     {fault.New(fault.User, "R", "m"), fault.User, "R", predicates{}},

		"serverInternal":          {problem(500, TypeServerInternal, actionOrder), fault.Transient, "ServerInternal", predicates{}},
		"badNonce":                {problem(400, TypeBadNonce, actionOrder), fault.Transient, "BadNonce", predicates{}},
		"504":                     {problem(504, "", actionOrder), fault.Transient, "ServerError", predicates{}},
		"418, no document":        {problem(418, "", actionNewOrder), fault.Transient, "UnexpectedStatus", predicates{}},
		"408":                     {problem(408, "fancy", actionNewOrder), fault.Transient, "UnexpectedStatus", predicates{}},
		"400, unknown type":       {problem(400, "fancy", actionNewOrder), fault.Permanent, "Refused", predicates{}},
		"500, unknown type":       {problem(500, "fancy", actionNewOrder), fault.Transient, "ServerError", predicates{}},
		"rateLimited":             {problem(429, TypeRateLimited, actionNewOrder), fault.Later, "RateLimited", predicates{limited: true}},
		"429, no document":        {problem(429, "", actionOrder), fault.Later, "RateLimited", predicates{limited: true}},
		"accountDoesNotExist":     {problem(400, TypeAccountDoesNotExist, actionOrder), fault.User, "AccountDoesNotExist", predicates{account: true}},
		"userActionRequired":      {problem(403, TypeUserActionRequired, actionNewOrder), fault.User, "UserActionRequired", predicates{account: true}},
		"externalAccountRequired": {problem(403, TypeExternalAccountRequired, actionRegister), fault.User, "ExternalAccountRequired", predicates{account: true}},
		"account unauthorized":    {problem(403, TypeUnauthorized, actionRegister), fault.User, "AccountUnauthorized", predicates{account: true}},
		"order unauthorized":      {problem(403, TypeUnauthorized, actionNewOrder), fault.Permanent, "Unauthorized", predicates{}},
		"order unauthorized, as the account is not valid": {invalid, fault.User, "AccountUnauthorized", predicates{account: true}},
		"CSR unauthorized":              {problem(403, TypeUnauthorized, actionFinalize), fault.Permanent, "Unauthorized", predicates{}},
		"another's order":               {problem(403, TypeUnauthorized, actionOrder), fault.Permanent, "Gone", predicates{gone: true}},
		"order gone":                    {problem(404, TypeMalformed, actionOrder), fault.Permanent, "Gone", predicates{gone: true}},
		"authorization gone":            {problem(410, TypeMalformed, actionAuthorization), fault.Permanent, "Gone", predicates{gone: true}},
		"finalize gone":                 {problem(404, TypeMalformed, actionFinalize), fault.Permanent, "Gone", predicates{gone: true}},
		"challenge gone":                {problem(404, TypeMalformed, actionAccept), fault.Permanent, "Gone", predicates{gone: true}},
		"order, 404 without a document": {&Problem{Status: 404, action: actionOrder, alive: true}, fault.Permanent, "Gone", predicates{gone: true}},
		"order, 404 of a proxy":         {problem(404, "", actionOrder), fault.Transient, "UnexpectedStatus", predicates{}},
		"finalize, 404 of a proxy":      {problem(404, "", actionFinalize), fault.Transient, "UnexpectedStatus", predicates{}},
		"authorization, 410 of a proxy": {problem(410, "", actionAuthorization), fault.Transient, "UnexpectedStatus", predicates{}},
		"nonce, 404":                    {problem(404, TypeMalformed, actionNonce), fault.Permanent, "Malformed", predicates{}},
		"certificate missing":           {problem(404, TypeMalformed, actionCertificate), fault.Transient, "CertificateMissing", predicates{}},
		"certificate unauthorized":      {problem(403, TypeUnauthorized, actionCertificate), fault.Transient, "CertificateMissing", predicates{}},
		"alternate missing":             {problem(404, TypeMalformed, actionAlternate), fault.Transient, "CertificateMissing", predicates{}},
		"alternate refused":             {problem(400, TypeMalformed, actionAlternate), fault.Transient, "CertificateMissing", predicates{}},
		"alternate, rate limited":       {problem(429, TypeRateLimited, actionAlternate), fault.Later, "RateLimited", predicates{limited: true}},
		"no newOrder there":             {problem(404, "", actionNewOrder), fault.Transient, "UnexpectedStatus", predicates{}},
		"orderNotReady":                 {problem(403, TypeOrderNotReady, actionFinalize), fault.Transient, "OrderNotReady", predicates{notReady: true}},
		"caa":                           {problem(403, TypeCAA, actionFinalize), fault.User, "CAA", predicates{}},
		"rejectedIdentifier":            {problem(400, TypeRejectedIdentifier, actionNewOrder), fault.User, "RejectedIdentifier", predicates{}},
		"paused":                        {paused, fault.User, "Paused", predicates{}},
		"unsupportedIdentifier":         {problem(400, TypeUnsupportedIdentifier, actionNewOrder), fault.Permanent, "UnsupportedIdentifier", predicates{}},
		"badCSR":                        {problem(400, TypeBadCSR, actionFinalize), fault.Permanent, "BadCSR", predicates{}},
		"malformed":                     {problem(400, TypeMalformed, actionNewOrder), fault.Permanent, "Malformed", predicates{}},
		"invalidProfile":                {problem(400, TypeInvalidProfile, actionNewOrder), fault.Permanent, "InvalidProfile", predicates{}},
		"alreadyReplaced":               {problem(409, TypeAlreadyReplaced, actionNewOrder), fault.Permanent, "AlreadyReplaced", predicates{replaced: true}},
		"replaces is another's": {
			&Problem{Status: 403, Type: ErrorNamespace + TypeUnauthorized, Detail: "did not request the certificate being replaced", action: actionNewOrder},
			fault.Permanent, "Unauthorized",
			predicates{replaced: true},
		},
		"dns while ordering":     {problem(400, TypeDNS, actionNewOrder), fault.Transient, "ServerError", predicates{}},
		"failed validation":      {problem(0, TypeDNS, ""), fault.Permanent, "ValidationFailed", predicates{}},
		"failed validation, 403": {problem(403, TypeUnauthorized, ""), fault.Permanent, "ValidationFailed", predicates{}},
		"order's caa":            {problem(403, TypeCAA, ""), fault.User, "CAA", predicates{}},
		"compound":               {with(TypeCAA, TypeServerInternal), fault.User, "CAA", predicates{}},
		"compound, permanent":    {with(TypeCAA, TypeMalformed, TypeRateLimited), fault.Permanent, "Malformed", predicates{}},
		"compound, transient":    {with(TypeServerInternal), fault.Transient, "ServerInternal", predicates{}},
	} {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", test.err)
			f := Classify(err, epoch)
			if f.Class != test.class || f.Reason != test.reason {
				t.Errorf("%v %s, want %v %s", f.Class, f.Reason, test.class, test.reason)
			}
			if !errors.Is(f, test.err) {
				t.Error("the cause is lost")
			}
			is := predicates{
				IsGone(err), IsOrderNotReady(err), IsAccountProblem(err), IsRateLimited(err), aboutReplaces(err),
			}
			if is != test.is {
				t.Errorf("%+v, want %+v", is, test.is)
			}
		})
	}
	if f := Classify(nil, epoch); f != nil {
		t.Errorf("nil is %v", f)
	}
}
