package config

import "github.com/hashicorp/hcl/v2/hclsyntax"

func decode(cfg *Config, rep *Report, bodies []*hclsyntax.Body) {}
