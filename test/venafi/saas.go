package venafi

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	applicationID = "5c2c6d7e-0001-4000-8000-000000000001"
	templateID    = "5c2c6d7e-0002-4000-8000-000000000002"
	// ngts is the path of the same API in Next-Gen Trust Security.
	ngts = "/ngts"
	api  = "/outagedetection/v1"
	// dateForm is that of the dates in the answers.
	dateForm = "2006-01-02T15:04:05.000-0700"
)

// saas answers a call of the SaaS, and of NGTS beneath a path of its own.
func (s *Server) saas(w http.ResponseWriter, r *http.Request, body []byte) bool {
	if r.Method+" "+r.URL.Path == "POST /oauth2/access_token" {
		s.clientToken(w, r, body)
		return true
	}
	path, isNGTS := strings.CutPrefix(r.URL.EscapedPath(), ngts)
	if !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, api) {
		return false
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if known := r.Header.Get("tppl-api-key") == APIKey; isNGTS && !s.tokens[token] || !isNGTS && !known {
		fail(w, http.StatusUnauthorized, 10001, "Unauthorized")
		return true
	}
	application, template := url.PathEscape(Application), url.PathEscape(Template)
	name, _ := strings.CutPrefix(path, api+"/certificaterequests/")
	id, contents := strings.CutPrefix(strings.TrimSuffix(path, "/contents"), api+"/certificates/")
	switch route := r.Method + " " + path; {
	case route == "GET /v1/useraccounts":
		reply(w, http.StatusOK, map[string]any{
			"user": map[string]any{"username": "svc@example.com", "id": "u"}, "company": map[string]any{"id": "c", "name": "Example", "active": true},
			"apiKey": map[string]any{"username": "svc@example.com", "apiKeyStatus": "ACTIVE"},
		})
	case route == "GET "+api+"/applications/"+application+"/certificateissuingtemplates/"+template:
		reply(w, http.StatusOK, map[string]any{
			"id": templateID, "name": Template, "keyTypes": []any{map[string]any{"keyType": "RSA", "keyLengths": []int{2048, 4096}}, map[string]any{"keyType": "EC", "keyCurves": []string{"P256"}}},
			"subjectCNRegexes": []string{".*"}, "subjectORegexes": []string{".*"}, "subjectOURegexes": []string{".*"}, "subjectSTRegexes": []string{".*"},
			"subjectLRegexes": []string{".*"}, "subjectCValues": []string{".*"}, "sanRegexes": []string{`.*\.example\.com`}, "csrUploadAllowed": true,
		})
	case route == "GET "+api+"/applications/name/"+application:
		reply(w, http.StatusOK, map[string]any{"id": applicationID, "name": Application, "certificateIssuingTemplateAliasIdMap": map[string]string{Template: templateID}})
	case strings.HasPrefix(route, "GET "+api+"/applications/"):
		fail(w, http.StatusBadRequest, 10051, "Unable to find the application or the issuing template")
	case route == "POST "+api+"/certificaterequests":
		s.order(w, body)
	case route == "POST "+api+"/certificaterequestssearch":
		s.search(w, body)
	case r.Method == http.MethodGet && name != path:
		s.status(w, name)
	case r.Method == http.MethodGet && contents:
		s.contents(w, r, id)
	default:
		return false
	}
	return true
}

func fail(w http.ResponseWriter, status, code int, message string) {
	reply(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message, "args": []string{}}}})
}

// clientToken makes a token for a client (RFC 6749 section 4.4).
func (s *Server) clientToken(w http.ResponseWriter, r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	id, secret, _ := r.BasicAuth()
	if err != nil || form.Get("grant_type") != "client_credentials" || form.Get("scope") != "tsg_id:"+TSGID {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "Invalid scope"})
		return
	}
	if id != NGTSClient || secret != NGTSSecret {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "Client authentication failed"})
		return
	}
	s.issued++
	token := fmt.Sprintf("ngts-%d", s.issued)
	s.tokens[token] = true
	reply(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(s.lifetime.Seconds()), "scope": form.Get("scope")})
}

func (s *Server) order(w http.ResponseWriter, body []byte) {
	var asked struct {
		CSR         string          `json:"certificateSigningRequest"`
		Application string          `json:"applicationId"`
		Template    string          `json:"certificateIssuingTemplateId"`
		Validity    string          `json:"validityPeriod"`
		Client      json.RawMessage `json:"apiClientInformation"`
		// vcert sends these with their zero values.
		Existing  string          `json:"existingCertificateId"`
		Reuse     bool            `json:"reuseCSR"`
		Generated bool            `json:"isVaaSGenerated"`
		Attribute json.RawMessage `json:"csrAttributes"`
		Tags      json.RawMessage `json:"tags"`
	}
	if !decode(w, body, &asked) {
		return
	}
	csr := parse(asked.CSR)
	if csr == nil || asked.Application != applicationID || asked.Template != templateID {
		fail(w, http.StatusBadRequest, 10702, "The certificate request is invalid")
		return
	}
	s.issued++
	id := fmt.Sprintf("5c2c6d7e-0003-4000-8000-%012d", s.issued)
	s.requests[id] = &object{csr: csr, made: time.Now(), approved: !s.held}
	reply(w, http.StatusCreated, map[string]any{"certificateRequests": []any{map[string]any{"id": id, "status": "REQUESTED", "creationDate": time.Now().UTC().Format(dateForm)}}})
}

// search finds requests by their common name, the latest first. It returns less of each
// than status does.
func (s *Server) search(w http.ResponseWriter, body []byte) {
	type operand struct {
		Field    string `json:"field"`
		Operator string `json:"operator"`
		Value    string `json:"value"`
	}
	var asked struct {
		Expression struct {
			Operator string    `json:"operator"`
			Operands []operand `json:"operands"`
		} `json:"expression"`
		Ordering struct {
			Orders []struct {
				Field     string `json:"field"`
				Direction string `json:"direction"`
			} `json:"orders"`
		} `json:"ordering"`
		Paging struct {
			Number int `json:"pageNumber"`
			Size   int `json:"pageSize"`
		} `json:"paging"`
	}
	if !decode(w, body, &asked) {
		return
	}
	operands := asked.Expression.Operands
	if len(operands) != 1 || operands[0].Field != "subjectCN" || operands[0].Operator != "EQ" || asked.Paging.Number < 0 || asked.Paging.Size <= 0 {
		fail(w, http.StatusBadRequest, 10702, "The expression is invalid")
		return
	}
	all := []map[string]any{}
	for id, o := range s.requests {
		if o.csr.Subject.CommonName == operands[0].Value {
			all = append(all, o.details(id))
		}
	}
	slices.SortFunc(all, func(a, b map[string]any) int { return strings.Compare(b["id"].(string), a["id"].(string)) })
	first := min(len(all), asked.Paging.Number*asked.Paging.Size)
	reply(w, http.StatusOK, map[string]any{"certificateRequests": all[first:min(len(all), first+asked.Paging.Size)], "numFound": len(all)})
}

// details are what the SaaS says of a request.
func (o *object) details(id string) map[string]any {
	d := map[string]any{
		"id": id, "applicationId": applicationID, "certificateIssuingTemplateId": templateID,
		"creationDate": o.made.UTC().Format(dateForm),
	}
	switch {
	case o.rejected:
		d["status"] = "REJECTED"
	case !o.approved:
		d["status"] = "PENDING_APPROVAL"
	default:
		d["status"], d["certificateIds"] = "ISSUED", []string{id}
	}
	return d
}

func (s *Server) status(w http.ResponseWriter, id string) {
	o := s.requests[id]
	if o == nil {
		fail(w, http.StatusNotFound, 10051, "Unable to find certificateRequest for key [Id]")
		return
	}
	d := o.details(id)
	d["certificateSigningRequest"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: o.csr.Raw}))
	reply(w, http.StatusOK, d)
}

func (s *Server) contents(w http.ResponseWriter, r *http.Request, id string) {
	o := s.requests[id]
	if o == nil || r.URL.Query().Get("chainOrder") != "EE_FIRST" || r.URL.Query().Get("format") != "PEM" {
		fail(w, http.StatusNotFound, 10051, "Unable to find certificate")
		return
	}
	chain, err := s.deliver(o.csr)
	if err != nil {
		fail(w, http.StatusInternalServerError, 1, err.Error())
		return
	}
	_, _ = w.Write(chain)
}
