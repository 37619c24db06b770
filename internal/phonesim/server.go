package phonesim

import "strings"

// JoinServer makes a setting server's URL of options 66 and 67 as a phone
// does. A bare name or address in 66 means TFTP; a path in 67 is appended; a
// URL that is whole already (a query, or a {mac} to replace) stays alone. It
// is "" where 66 is.
func JoinServer(tftpServerName, bootFile string) string {
	server := strings.TrimSpace(tftpServerName)
	if server == "" {
		return ""
	}
	if !strings.Contains(server, "://") {
		server = "tftp://" + server
	}
	if bootFile == "" || strings.Contains(bootFile, "://") || strings.ContainsAny(server, "?{") {
		return server
	}
	return strings.TrimRight(server, "/") + "/" + strings.TrimLeft(bootFile, "/")
}
