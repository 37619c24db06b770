appliance {}
network "office" { # ERROR: Missing interface
  subnet = "192.168.50.0/24"
}
network "lab" {
  subnet    = "192.0.2.0/24"
  interface = "eth1"
}
