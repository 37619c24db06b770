appliance {
  interface = "eth0"
}
network "n0" {
  subnet        = "192.168.0.0/24"
  authoritative = "auto"
  probe         = false
}
network "n1" {
  subnet        = "192.168.1.0/24"
  authoritative = "yes" # ERROR: Unknown word
  probe         = "no" # ERROR: Wrong type
}
network "n2" {
  subnet        = "192.168.2.0/24"
  authoritative = [true] # ERROR: Unknown word
}
network "n3" {
  subnet        = "192.168.3.0/24"
  authoritative = null
  authoritativ  = true # ERROR: Unsupported argument
}
