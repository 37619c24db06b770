package config

import "github.com/hashicorp/hcl/v2"

// Schemas gives the schema of each block that this package decodes, by its path:
// "network", "network.vlan". The root, "", lists the blocks of package profiles
// too.
func Schemas() map[string]*hcl.BodySchema {
	return map[string]*hcl.BodySchema{
		"":                    rootSchema,
		"appliance":           applianceSchema,
		"network":             networkSchema,
		"network.vlan":        vlanSchema,
		"network.option":      optionSchema,
		"network.host":        hostSchema,
		"network.port":        portSchema,
		"vendor_class":        vendorClassSchema,
		"vendor_class.option": optionSchema,
		"provisioning":        provisioningSchema,
		"https":               httpsSchema,
		"dns":                 dnsSchema,
		"dns.record":          recordSchema,
		"admin":               adminSchema,
		"rollout":             rolloutSchema,
		"silence":             silenceSchema,
	}
}
