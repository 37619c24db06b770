appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
  routers     = ["192.168.51.1"] # ERROR: Address outside subnet
  dns_servers = "192.168.50.2" # ERROR: Wrong type
  ntp_servers = [
    "ntp.example.org",  # ERROR: Invalid address
    "2001:db8::1",      # ERROR: Invalid address
    "192.168.50.2/24",  # ERROR: Invalid address
    "0.0.0.0",          # ERROR: Invalid address
    "224.0.1.1",        # ERROR: Invalid address
  ]
  domain = "office example" # ERROR: Invalid domain name
}
network "more" {
  subnet  = "192.168.51.0/24"
  routers = ["192.168.51.0", "192.168.51.1"] # ERROR: Unusable address
  domain  = ["office.example"]               # ERROR: Wrong type
}
