appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
  host 02:00:5e:10:00:01 { # ERROR: Missing quotes
    address = "192.168.50.10"
  }
}
