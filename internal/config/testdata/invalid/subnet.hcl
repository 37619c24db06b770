appliance {
  interface = "eth0"
}
network "host bits" {
  subnet = "192.168.50.1/24" # ERROR: Invalid subnet
}
network "no prefix" {
  subnet = "192.168.51.0" # ERROR: Invalid subnet
}
network "v6" {
  subnet = "2001:db8::/64" # ERROR: Invalid subnet
}
network "too small" {
  subnet = "192.168.52.0/31" # ERROR: Invalid subnet
}
network "too large" {
  subnet = "0.0.0.0/0" # ERROR: Invalid subnet
}
network "multicast" {
  subnet = "224.0.1.0/24" # ERROR: Invalid subnet
}
network "absent" { # ERROR: Missing required argument
}
network "null" {
  subnet = null # ERROR: Missing required argument
}
network "number" {
  subnet = 24 # ERROR: Wrong type
}
