appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
  range = ["192.168.50.100", "192.168.50.199"]
  exclude = [
    "192.168.50.150",
    "192.168.51.150",                  # ERROR: Address outside subnet
    "192.168.50.190-192.168.51.1",     # ERROR: Address outside subnet
    "192.168.50.160-192.168.50.150",   # ERROR: Invalid range
    "192.168.50.160-x",                # ERROR: Invalid address
    "192.168.50.1",                    # WARNING: Exclusion without effect
    "192.168.50.90-192.168.50.100",
    5,                                 # ERROR: Wrong type
  ]
}
network "wide" {
  subnet  = "10.0.0.0/8"
  exclude = ["10.0.0.0-10.200.0.0"] # ERROR: Too many exclusions
}
