package config

import "github.com/hashicorp/hcl/v2"

func hints(diags hcl.Diagnostics, src []byte) hcl.Diagnostics { return diags }
