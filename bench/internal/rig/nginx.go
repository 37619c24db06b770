package rig

import "path/filepath"

// Nginx gives the arguments of an nginx that serves the files of a folder on port
// 80, in the foreground and with no line in a log, and writes its configuration. dir
// is for that and for what it keeps while it runs.
func Nginx(dir, files string) ([]string, error) {
	conf := filepath.Join(dir, "nginx.conf")
	return []string{"-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log")}, WriteConfig(conf, `daemon off;
user root;
worker_processes auto;
pid %[1]s/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=1000;
  types { text/xml xml; text/html htm; }
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen 80 backlog=4096; root %[2]s; }
}
`, dir, files)
}
