appliance {
  interface = "eth0"
}
admin {
  listen = ":8067" # ERROR: Missing password
}
