appliance {
  interface = "eth0"
}
admin {
  listen   = "127.0.0.1" # ERROR: Invalid address
  password = ""          # ERROR: Empty password
}
