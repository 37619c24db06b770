appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
  range      = 192.168.50.100      # ERROR: Missing quotes
  exclude    = [192.168.50.150]    # ERROR: Missing quotes
  lease_time = 12h                 # ERROR: Missing quotes
}
network "lab" {
  subnet = 192.0.2.0/24 # ERROR: Missing quotes
}
