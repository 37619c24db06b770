appliance {
  interface = "eth0/1" # ERROR: Invalid interface name
  state_dir = ""       # ERROR: Invalid path
  files_dir = 5        # ERROR: Wrong type
}
network "office" {
  subnet    = "192.168.50.0/24"
  interface = "an-interface-with-a-long-name" # ERROR: Invalid interface name
}
