appliance {
  interface = "eth0"
}
network "n0" {
  subnet = "192.168.0.0/24"
  range = "192.168.0.10-192.168.0.20" # ERROR: Invalid range
}
network "n1" {
  subnet = "192.168.1.0/24"
  range = ["192.168.1.10"] # ERROR: Invalid range
}
network "n2" {
  subnet = "192.168.2.0/24"
  range = ["192.168.2.20", "192.168.2.10"] # ERROR: Invalid range
}
network "n3" {
  subnet = "192.168.3.0/24"
  range = ["192.168.3.0", "192.168.3.10"] # ERROR: Unusable address
}
network "n4" {
  subnet = "192.168.4.0/24"
  range = ["192.168.4.10", "192.168.4.255"] # ERROR: Unusable address
}
network "n5" {
  subnet = "192.168.5.0/24"
  range = [
    "192.168.5.10",
    "192.168.6.10", # ERROR: Address outside subnet
  ]
}
network "n6" {
  subnet = "192.168.6.0/24"
  range = [
    ["192.168.6.10", "192.168.6.19"],
    ["192.168.6.30", "192.168.6.x"], # ERROR: Invalid address
    ["192.168.6.30"],                # ERROR: Invalid range
    "192.168.6.40",                  # ERROR: Wrong type
  ]
}
network "n7" {
  subnet = "192.168.7.0/24"
  range = []
}
network "n8" {
  subnet = "192.168.8.0/24"
  range = 5 # ERROR: Wrong type
}
network "n9" {
  subnet = "192.168.9.0/24"
  range = ["192.168.9.10", "192.168.9.20", "192.168.9.30"] # ERROR: Invalid range
}
network "n10" {
  subnet = "192.168.10.0/24"
  range = ["192.168.10.10", null] # ERROR: Wrong type
}
