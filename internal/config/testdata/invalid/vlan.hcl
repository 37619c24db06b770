appliance {
  interface = "eth0"
}
network "n0" {
  subnet = "192.168.0.0/24"
  vlan {
    id       = 4095 # ERROR: Number out of range
    priority = 8    # ERROR: Number out of range
  }
}
network "n1" {
  subnet = "192.168.1.0/24"
  vlan {
    id       = 0  # ERROR: Number out of range
    priority = -1 # ERROR: Number out of range
  }
}
network "n2" {
  subnet = "192.168.2.0/24"
  vlan { # ERROR: Missing required argument
  }
  vlan { # ERROR: Duplicate block
    id = 5
  }
}
network "n3" {
  subnet = "192.168.3.0/24"
  vlan {
    id       = 1.5   # ERROR: Number out of range
    priority = "low" # ERROR: Wrong type
  }
}
