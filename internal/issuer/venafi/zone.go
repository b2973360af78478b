package venafi

import "strings"

// zoneOf returns the zone of an issuer as the server names it. People write the backslash
// once or, as in JSON, twice.
func zoneOf(b backend, zone string) (string, *failure) {
	for strings.Contains(zone, `\\`) {
		zone = strings.ReplaceAll(zone, `\\`, `\`)
	}
	if b == backendTPP {
		return strings.TrimSuffix(zone, `\`), nil
	}
	parts := strings.Split(zone, `\`)
	if len(parts) != 2 || strings.TrimSpace(parts[0]) == "" || strings.TrimSpace(parts[1]) == "" {
		return "", misconfigured(`spec.venafi.zone: Invalid value: %q: must be the name of an application and the alias of one of its issuing templates, as in Application\Alias`, zone)
	}
	return zone, nil
}
