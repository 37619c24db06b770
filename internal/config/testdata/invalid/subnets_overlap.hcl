appliance {
  interface = "eth0"
}
network "b" {
  subnet = "10.1.2.0/24"
}
network "a" { # ERROR: Overlapping subnets
  subnet = "10.0.0.0/8"
}
network "c" { # ERROR: Overlapping subnets
  subnet = "10.200.0.0/16"
}
network "d" {
  subnet = "11.0.0.0/8"
}
