appliance {
  interface = "eth0"
}
network "a" {
  subnet = "192.168.50.0/24"
  range = [
    ["192.168.50.100", "192.168.50.199"],
    ["192.168.50.10", "192.168.50.20"],
    ["192.168.50.20", "192.168.50.30"],   # ERROR: Overlapping ranges
    ["192.168.50.120", "192.168.50.130"], # ERROR: Overlapping ranges
    ["192.168.50.140", "192.168.50.150"], # ERROR: Overlapping ranges
    ["192.168.50.31", "192.168.50.40"],
  ]
}
network "b" { # ERROR: Overlapping subnets
  subnet = "192.168.0.0/16"
  range  = ["192.168.50.190", "192.168.50.210"] # ERROR: Overlapping ranges
}
