package azurednstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// serviceTypes are the types of zones with the versions of their APIs and the fields of
// their record sets.
var serviceTypes = map[string]struct{ version, ttl, txt string }{
	// https://learn.microsoft.com/rest/api/dns/record-sets/create-or-update?view=rest-dns-2018-05-01
	"dnsZones": {"2018-05-01", "TTL", "TXTRecords"},
	// https://learn.microsoft.com/rest/api/dns/privatedns/record-sets/create-or-update?view=rest-dns-privatedns-2024-06-01
	"privateDnsZones": {"2024-06-01", "ttl", "txtRecords"},
}

// ARMError is the body of an error.
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
func ARMError(status int, code, text string) Answer {
	return Answer{Status: status, Body: fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, text)}
}

// dnsError is the body of an error of the DNS services, which have no "error" around it.
func dnsError(status int, code, text string) Answer {
	return Answer{Status: status, Body: fmt.Sprintf(`{"code":%q,"message":%q}`, code, text)}
}

// serveAPI answers as management.azure.com.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	role, ok := s.Tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		write(w, ARMError(401, "InvalidAuthenticationToken", "The access token is invalid."))
		return
	}
	if s.API != nil {
		write(w, *s.API)
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(parts) < 7 || parts[0] != "subscriptions" || parts[2] != "resourceGroups" || parts[4] != "providers" || parts[5] != "Microsoft.Network" {
		badRequest(w, r.URL.Path)
		return
	}
	kind := parts[6]
	api, ok := serviceTypes[kind]
	query := r.URL.Query()
	skip := query.Get("$skipToken")
	query.Del("$skipToken")
	if !ok || len(query) != 1 || query.Get("api-version") != api.version {
		badRequest(w, r.URL.Path+"?"+r.URL.RawQuery)
		return
	}
	may := func(action string, at int) bool {
		if role == "contributor" || role == "zone" && at >= 8 {
			return true
		}
		scope := "/" + strings.Join(parts[:min(at, len(parts))], "/")
		write(w, ARMError(403, "AuthorizationFailed", fmt.Sprintf("The client '%s' with object id '%s' does not have authorization to perform action 'Microsoft.Network/%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
			Client, Object, action, scope)))
		return false
	}
	switch {
	case parts[1] != Subscription:
		write(w, ARMError(404, "SubscriptionNotFound", fmt.Sprintf("The subscription '%s' could not be found.", parts[1])))
	case parts[3] != Group:
		write(w, ARMError(404, "ResourceGroupNotFound", fmt.Sprintf("Resource group '%s' could not be found.", parts[3])))
	case len(parts) == 7 && r.Method == http.MethodGet:
		if may(kind+"/read", 4) {
			s.serveZones(w, r, kind, skip)
		}
	case len(parts) == 8 && r.Method == http.MethodGet:
		if !may(kind+"/read", 8) {
			return
		}
		if !s.hasZone(kind, parts[7]) {
			write(w, ARMError(404, "ResourceNotFound", fmt.Sprintf("The Resource 'Microsoft.Network/%s/%s' under resource group '%s' was not found.", strings.ToLower(kind), parts[7], Group)))
			return
		}
		writeJSON(w, 200, s.zoneObject(kind, parts[7]))
	case len(parts) == 10 && parts[8] == "TXT":
		action := map[string]string{"GET": "read", "PUT": "write", "DELETE": "delete"}[r.Method]
		switch {
		case action == "":
			badRequest(w, r.Method)
		case !may(kind+"/TXT/"+action, 10):
		case !s.hasZone(kind, parts[7]):
			write(w, ARMError(404, "ParentResourceNotFound", fmt.Sprintf("Can not perform requested operation on nested resource. Parent resource '%s' not found.", parts[7])))
		default:
			s.serveSet(w, r, kind, parts[7], parts[9])
		}
	default:
		badRequest(w, r.Method+" "+r.URL.Path)
	}
}

func (s *Server) hasZone(kind, zone string) bool {
	return slices.ContainsFunc(s.Zones[kind], func(z string) bool { return strings.EqualFold(z, zone) })
}

func (s *Server) zoneObject(kind, zone string) fields {
	return fields{
		"id":   "/subscriptions/" + Subscription + "/resourceGroups/" + Group + "/providers/Microsoft.Network/" + kind + "/" + zone,
		"name": zone, "type": "Microsoft.Network/" + kind, "etag": "00000000-0000-0000-0000-000000000000", "location": "global",
		"properties": fields{"maxNumberOfRecordSets": 10000, "numberOfRecordSets": 2},
	}
}

// serveZones lists the zones, two in each page.
// https://learn.microsoft.com/rest/api/dns/zones/list-by-resource-group
func (s *Server) serveZones(w http.ResponseWriter, r *http.Request, kind, skip string) {
	start := 0
	if skip != "" {
		if _, err := fmt.Sscanf(skip, "page%d", &start); err != nil {
			badRequest(w, "$skipToken")
			return
		}
	}
	zones := s.Zones[kind]
	end := min(start+2, len(zones))
	values := []fields{}
	for _, z := range zones[start:end] {
		values = append(values, s.zoneObject(kind, z))
	}
	page := fields{"value": values}
	if end < len(zones) {
		page["nextLink"] = fmt.Sprintf("https://%s%s?api-version=%s&$skipToken=page%d", r.Host, r.URL.Path, serviceTypes[kind].version, end)
	}
	writeJSON(w, 200, page)
}

// serveSet gets, writes and removes record sets, with etags.
// https://learn.microsoft.com/azure/dns/dns-zones-records#etags
func (s *Server) serveSet(w http.ResponseWriter, r *http.Request, kind, zone, name string) {
	if r.Method != http.MethodGet && s.Before != nil {
		before := s.Before
		s.Before = nil
		before(name)
	}
	key := strings.ToLower(kind + "/" + zone + "/" + name)
	set := s.Sets[key]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	failed := none == "*" && set != nil || match != "" && (set == nil || set.ETag != match)
	switch {
	case none != "" && none != "*" || match == "" && none == "" && r.Method != http.MethodGet:
		badRequest(w, "conditions")
	case r.Method == http.MethodDelete && set == nil:
		write(w, Answer{Status: 204})
	case failed:
		write(w, dnsError(412, "PreconditionFailed", fmt.Sprintf("The condition '%s' in the If-Match header was not satisfied. The current was '00000000'.", match)))
	case r.Method == http.MethodGet && set == nil:
		// Azure/azure-cli#27374 shows this answer.
		write(w, dnsError(404, "NotFound", fmt.Sprintf("The resource record '%s' does not exist in resource group '%s' of subscription '%s'.", name, Group, Subscription)))
	case r.Method == http.MethodGet:
		writeJSON(w, 200, setObject(kind, zone, name, set))
	case r.Method == http.MethodDelete:
		delete(s.Sets, key)
		s.changed(zone, name, nil)
		write(w, Answer{Status: 200})
	default:
		made, problem := parseSet(r, kind)
		if problem != "" {
			badRequest(w, problem)
			return
		}
		s.serial++
		made.ETag = fmt.Sprintf("%08d-0000-0000-0000-000000000000", s.serial)
		s.Sets[key] = made
		s.changed(zone, name, made)
		status := http.StatusOK
		if set == nil {
			status = http.StatusCreated
		}
		writeJSON(w, status, setObject(kind, zone, name, made))
	}
}

func (s *Server) changed(zone, name string, set *Set) {
	if s.Changed == nil {
		return
	}
	ttl := time.Second
	if set != nil {
		ttl = time.Duration(set.TTL) * time.Second
	}
	s.Changed(ownerName(zone, name), ttl, set.Texts())
}

func setObject(kind, zone, name string, set *Set) fields {
	api := serviceTypes[kind]
	records := []fields{}
	for _, v := range set.Values {
		records = append(records, fields{"value": v})
	}
	properties := fields{api.ttl: set.TTL, "fqdn": name + "." + zone + ".", api.txt: records}
	if kind == "dnsZones" {
		properties["targetResource"], properties["provisioningState"] = fields{}, "Succeeded"
	}
	if len(set.Metadata) > 0 {
		properties["metadata"] = set.Metadata
	}
	return fields{
		"id":   "/subscriptions/" + Subscription + "/resourceGroups/" + Group + "/providers/Microsoft.Network/" + kind + "/" + zone + "/TXT/" + name,
		"name": name, "type": "Microsoft.Network/" + kind + "/TXT", "etag": set.ETag, "properties": properties,
	}
}

// parseSet reads the body of a PUT.
func parseSet(r *http.Request, kind string) (*Set, string) {
	var body struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return nil, err.Error()
	}
	api := serviceTypes[kind]
	for _, name := range slices.Sorted(maps.Keys(body.Properties)) {
		if name != api.ttl && name != api.txt && name != "metadata" {
			return nil, "property " + name
		}
	}
	set := &Set{}
	var records []struct {
		Value []string `json:"value"`
	}
	if json.Unmarshal(body.Properties[api.ttl], &set.TTL) != nil || set.TTL < 1 {
		return nil, "ttl"
	}
	if json.Unmarshal(body.Properties[api.txt], &records) != nil || len(records) == 0 {
		return nil, "records"
	}
	if m := body.Properties["metadata"]; m != nil && json.Unmarshal(m, &set.Metadata) != nil {
		return nil, "metadata"
	}
	for _, r := range records {
		set.Values = append(set.Values, r.Value)
	}
	return set, ""
}
