package venafi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// tpp answers a call of the Web SDK.
func (s *Server) tpp(w http.ResponseWriter, r *http.Request, body []byte) bool {
	route := r.Method + " " + r.URL.Path
	switch route {
	case "GET /vedsdk/":
		reply(w, http.StatusOK, map[string]string{})
		return true
	case "POST /vedauth/authorize/oauth":
		s.oauth(w, body)
		return true
	}
	routes := map[string]func(http.ResponseWriter, []byte){
		"GET /vedauth/authorize/verify":         s.verify,
		"POST /vedsdk/certificates/checkpolicy": s.checkPolicy,
		"POST /vedsdk/certificates/reset":       s.reset,
		"POST /vedsdk/certificates/request":     s.request,
		"POST /vedsdk/certificates/retrieve":    s.retrieve,
	}
	answer := routes[route]
	if answer == nil {
		return false
	}
	if token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !s.tokens[token] {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token", "error_description": "The access token is expired, revoked or invalid"})
		return true
	}
	answer(w, body)
	return true
}

func (s *Server) oauth(w http.ResponseWriter, body []byte) {
	var asked struct {
		ClientID string `json:"client_id"`
		Username string `json:"username"`
		Password string `json:"password"`
		Scope    string `json:"scope"`
	}
	if !decode(w, body, &asked) {
		return
	}
	if asked.Username != Username || asked.Password != s.password || asked.ClientID != ClientID || asked.Scope != "certificate:manage" {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "Username/password combination not valid"})
		return
	}
	s.issued++
	token := fmt.Sprintf("granted-%d", s.issued)
	s.tokens[token] = true
	reply(w, http.StatusOK, map[string]any{
		"access_token": token, "expires": time.Now().Add(s.lifetime).Unix(), "expires_in": int(s.lifetime.Seconds()), "identity": "local:{x}",
		"refresh_token": "refresh-1", "refresh_until": time.Now().Add(24 * time.Hour).Unix(), "scope": asked.Scope, "token_type": "Bearer",
	})
}

func (s *Server) verify(w http.ResponseWriter, _ []byte) {
	reply(w, http.StatusOK, map[string]any{
		"access_issued_on_ISO8601": time.Now().UTC().Format(time.RFC3339), "application": ClientID,
		"expires_ISO8601": time.Now().Add(s.lifetime).UTC().Format(time.RFC3339), "grant_issued_on_ISO8601": time.Now().UTC().Format(time.RFC3339),
		"identity": "local:{x}", "scope": "certificate:manage", "valid_for": int(s.lifetime.Seconds()),
	})
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	reply(w, status, map[string]string{"Error": fmt.Sprintf(format, args...)})
}

func (s *Server) checkPolicy(w http.ResponseWriter, body []byte) {
	var asked struct{ PolicyDN string }
	if !decode(w, body, &asked) {
		return
	}
	if asked.PolicyDN != PolicyFolder {
		refuse(w, http.StatusBadRequest, "PolicyDN: %s does not exist", asked.PolicyDN)
		return
	}
	reply(w, http.StatusOK, map[string]any{"Policy": s.policy})
}

func (s *Server) reset(w http.ResponseWriter, body []byte) {
	var asked struct {
		CertificateDN string
		Restart       bool
	}
	if !decode(w, body, &asked) {
		return
	}
	o := s.objects[asked.CertificateDN]
	switch {
	case o == nil:
		refuse(w, http.StatusBadRequest, "%s does not exist or you do not have sufficient rights to the object.", asked.CertificateDN)
	case o.failed == "":
		refuse(w, http.StatusBadRequest, "Reset is not completed. No reset is required for the certificate.")
	default:
		o.failed = ""
		reply(w, http.StatusOK, map[string]bool{"ProcessingResetCompleted": true})
	}
}

type named struct {
	Name  string
	Value string
}

func (s *Server) request(w http.ResponseWriter, body []byte) {
	var asked struct {
		PolicyDN, ObjectName, PKCS10, CertificateType, Origin string
		CADN, KeyAlgorithm, EllipticCurve                     string
		KeyBitSize                                            int
		DisableAutomaticRenewal, Reenable                     bool
		SubjectAltNames                                       []struct {
			Type int
			Name string
		}
		CASpecificAttributes []named
		CustomFields         []struct {
			Name   string
			Values []string
		}
	}
	if !decode(w, body, &asked) {
		return
	}
	dn := asked.PolicyDN + `\` + asked.ObjectName
	csr := parse(asked.PKCS10)
	o := s.objects[dn]
	switch {
	case asked.PolicyDN != PolicyFolder:
		refuse(w, http.StatusBadRequest, "PolicyDN: %s does not exist", asked.PolicyDN)
	case csr == nil:
		refuse(w, http.StatusBadRequest, "PKCS#10 data is invalid")
	case o != nil && o.failed != "":
		refuse(w, http.StatusInternalServerError, "Certificate %s cannot be processed while it is in an error state. Fix any errors, and then click Retry.", dn)
	default:
		s.objects[dn] = &object{csr: csr, approved: !s.held}
		status := http.StatusOK
		if s.held {
			status = http.StatusAccepted
		}
		reply(w, status, map[string]string{"CertificateDN": dn, "Guid": "{0f3f9a5e-1111-2222-3333-7a3b1c5d9e01}"})
	}
}

func (s *Server) retrieve(w http.ResponseWriter, body []byte) {
	var asked struct {
		CertificateDN, Format        string
		IncludeChain, RootFirstOrder bool
	}
	if !decode(w, body, &asked) {
		return
	}
	o := s.objects[asked.CertificateDN]
	switch {
	case o == nil:
		refuse(w, http.StatusBadRequest, "Certificate %s does not exist", asked.CertificateDN)
	case o.failed != "":
		reply(w, http.StatusInternalServerError, map[string]any{"Stage": 500, "Status": o.failed})
	case o.rejected:
		reply(w, http.StatusInternalServerError, map[string]any{"Stage": 400, "Status": "The request was rejected by an approver"})
	case !o.approved:
		reply(w, http.StatusAccepted, map[string]any{"Stage": 400, "Status": "Pending workflow approval"})
	default:
		chain, err := s.deliver(o.csr)
		if err != nil {
			refuse(w, http.StatusInternalServerError, "%v", err)
			return
		}
		reply(w, http.StatusOK, map[string]string{"CertificateData": base64.StdEncoding.EncodeToString(chain), "Format": asked.Format, "Filename": "x.pem"})
	}
}
