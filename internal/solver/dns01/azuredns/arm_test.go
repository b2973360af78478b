package azuredns

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// serviceTypes are the types of zones with the versions of their APIs and the fields of
// their record sets.
var serviceTypes = map[string]struct{ version, ttl, txt string }{
	// https://learn.microsoft.com/rest/api/dns/record-sets/create-or-update?view=rest-dns-2018-05-01
	"dnsZones": {"2018-05-01", "TTL", "TXTRecords"},
	// https://learn.microsoft.com/rest/api/dns/privatedns/record-sets/create-or-update?view=rest-dns-privatedns-2024-06-01
	"privateDnsZones": {"2024-06-01", "ttl", "txtRecords"},
}

// armError is the body of an error.
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
func armError(status int, code, text string) answer {
	return answer{status: status, body: fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, text)}
}

// dnsError is the body of an error of the DNS services, which have no "error" around it.
func dnsError(status int, code, text string) answer {
	return answer{status: status, body: fmt.Sprintf(`{"code":%q,"message":%q}`, code, text)}
}

// serveAPI answers as management.azure.com.
func (s *server) serveAPI(w http.ResponseWriter, r *http.Request) {
	role, ok := s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		write(w, armError(401, "InvalidAuthenticationToken", "The access token is invalid."))
		return
	}
	if s.api != nil {
		write(w, *s.api)
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
		write(w, armError(403, "AuthorizationFailed", fmt.Sprintf("The client '%s' with object id '%s' does not have authorization to perform action 'Microsoft.Network/%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
			client, object, action, scope)))
		return false
	}
	switch {
	case parts[1] != subscription:
		write(w, armError(404, "SubscriptionNotFound", fmt.Sprintf("The subscription '%s' could not be found.", parts[1])))
	case parts[3] != group:
		write(w, armError(404, "ResourceGroupNotFound", fmt.Sprintf("Resource group '%s' could not be found.", parts[3])))
	case len(parts) == 7 && r.Method == http.MethodGet:
		if may(kind+"/read", 4) {
			s.serveZones(w, r, kind, skip)
		}
	case len(parts) == 8 && r.Method == http.MethodGet:
		if !may(kind+"/read", 8) {
			return
		}
		if !s.hasZone(kind, parts[7]) {
			write(w, armError(404, "ResourceNotFound", fmt.Sprintf("The Resource 'Microsoft.Network/%s/%s' under resource group '%s' was not found.", strings.ToLower(kind), parts[7], group)))
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
			write(w, armError(404, "ParentResourceNotFound", fmt.Sprintf("Can not perform requested operation on nested resource. Parent resource '%s' not found.", parts[7])))
		default:
			s.serveSet(w, r, kind, parts[7], parts[9])
		}
	default:
		badRequest(w, r.Method+" "+r.URL.Path)
	}
}

func (s *server) hasZone(kind, zone string) bool {
	return slices.ContainsFunc(s.zones[kind], func(z string) bool { return strings.EqualFold(z, zone) })
}

func (s *server) zoneObject(kind, zone string) fields {
	return fields{
		"id":   "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/Microsoft.Network/" + kind + "/" + zone,
		"name": zone, "type": "Microsoft.Network/" + kind, "etag": "00000000-0000-0000-0000-000000000000", "location": "global",
		"properties": fields{"maxNumberOfRecordSets": 10000, "numberOfRecordSets": 2},
	}
}

// serveZones lists the zones, two in each page.
// https://learn.microsoft.com/rest/api/dns/zones/list-by-resource-group
func (s *server) serveZones(w http.ResponseWriter, r *http.Request, kind, skip string) {
	start := 0
	if skip != "" {
		if _, err := fmt.Sscanf(skip, "page%d", &start); err != nil {
			badRequest(w, "$skipToken")
			return
		}
	}
	zones := s.zones[kind]
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
func (s *server) serveSet(w http.ResponseWriter, r *http.Request, kind, zone, name string) {
	if r.Method != http.MethodGet && s.before != nil {
		before := s.before
		s.before = nil
		before(name)
	}
	key := strings.ToLower(kind + "/" + zone + "/" + name)
	set := s.sets[key]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	failed := none == "*" && set != nil || match != "" && (set == nil || set.etag != match)
	switch {
	case none != "" && none != "*" || match == "" && none == "" && r.Method != http.MethodGet:
		badRequest(w, "conditions")
	case r.Method == http.MethodDelete && set == nil:
		write(w, answer{status: 204})
	case failed:
		write(w, dnsError(412, "PreconditionFailed", fmt.Sprintf("The condition '%s' in the If-Match header was not satisfied. The current was '00000000'.", match)))
	case r.Method == http.MethodGet && set == nil:
		// Azure/azure-cli#27374 shows this answer.
		write(w, dnsError(404, "NotFound", fmt.Sprintf("The resource record '%s' does not exist in resource group '%s' of subscription '%s'.", name, group, subscription)))
	case r.Method == http.MethodGet:
		writeJSON(w, 200, setObject(kind, zone, name, set))
	case r.Method == http.MethodDelete:
		delete(s.sets, key)
		write(w, answer{status: 200})
	default:
		made, problem := parseSet(r, kind)
		if problem != "" {
			badRequest(w, problem)
			return
		}
		s.serial++
		made.etag = fmt.Sprintf("%08d-0000-0000-0000-000000000000", s.serial)
		s.sets[key] = made
		status := http.StatusOK
		if set == nil {
			status = http.StatusCreated
		}
		writeJSON(w, status, setObject(kind, zone, name, made))
	}
}

func setObject(kind, zone, name string, set *storedSet) fields {
	api := serviceTypes[kind]
	records := []fields{}
	for _, v := range set.values {
		records = append(records, fields{"value": v})
	}
	properties := fields{api.ttl: set.ttl, "fqdn": name + "." + zone + ".", api.txt: records}
	if kind == "dnsZones" {
		properties["targetResource"], properties["provisioningState"] = fields{}, "Succeeded"
	}
	if len(set.metadata) > 0 {
		properties["metadata"] = set.metadata
	}
	return fields{
		"id":   "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/Microsoft.Network/" + kind + "/" + zone + "/TXT/" + name,
		"name": name, "type": "Microsoft.Network/" + kind + "/TXT", "etag": set.etag, "properties": properties,
	}
}

// parseSet reads the body of a PUT.
func parseSet(r *http.Request, kind string) (*storedSet, string) {
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
	set := &storedSet{}
	var records []struct {
		Value []string `json:"value"`
	}
	if json.Unmarshal(body.Properties[api.ttl], &set.ttl) != nil || set.ttl < 1 {
		return nil, "ttl"
	}
	if json.Unmarshal(body.Properties[api.txt], &records) != nil || len(records) == 0 {
		return nil, "records"
	}
	if m := body.Properties["metadata"]; m != nil && json.Unmarshal(m, &set.metadata) != nil {
		return nil, "metadata"
	}
	for _, r := range records {
		set.values = append(set.values, r.Value)
	}
	return set, ""
}
