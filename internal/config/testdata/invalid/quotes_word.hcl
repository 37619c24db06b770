appliance {
  interface = eth0 # ERROR: Unknown variable
}
