appliance {
  interface = "eth0"
}
network "n0" {
  subnet = "192.168.0.0/24"
  lease_time = "12 hours" # ERROR: Invalid duration
}
network "n1" {
  subnet = "192.168.1.0/24"
  lease_time = 3600 # ERROR: Invalid duration
}
network "n2" {
  subnet = "192.168.2.0/24"
  lease_time = "1m" # ERROR: Duration out of range
}
network "n3" {
  subnet = "192.168.3.0/24"
  lease_time = "2m"
}
network "n4" {
  subnet = "192.168.4.0/24"
  lease_time = "365d"
}
network "n5" {
  subnet = "192.168.5.0/24"
  lease_time = "366d" # ERROR: Duration out of range
}
network "n6" {
  subnet = "192.168.6.0/24"
  lease_time = "99999999999h" # ERROR: Invalid duration
}
network "n7" {
  subnet = "192.168.7.0/24"
  lease_time = "-1h" # ERROR: Duration out of range
}
network "n8" {
  subnet = "192.168.8.0/24"
  lease_time = "infinite" # ERROR: Invalid duration
}
network "n9" {
  subnet = "192.168.9.0/24"
  lease_time = "" # ERROR: Invalid duration
}
network "n10" {
  subnet = "192.168.10.0/24"
  lease_time = "99999d" # ERROR: Duration out of range
}
