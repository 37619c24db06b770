// Package etc is the example configuration, as the program carries it with
// it for its demonstration.
package etc

import "embed"

// Example holds the folder dialtone.
//
//go:embed dialtone
var Example embed.FS
