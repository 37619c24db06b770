appliance {
  interface = "eth0"
}
provisioning { # ERROR: Port used twice
  http_port = 443
}
https { # ERROR: Incomplete certificate
  certificate = "tls/server.pem" # ERROR: Missing file
  client_ca   = "."              # ERROR: Missing file
}
