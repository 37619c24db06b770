appliance {
  interface = "eth0"
}
provisioning {
  scheme    = "htpp"    # ERROR: Unknown word
  secrets   = "none"    # ERROR: Unknown word
  pnp       = "perhaps" # ERROR: Wrong type
  http_port = 0         # ERROR: Number out of range
  tftp_port = 65536     # ERROR: Number out of range
}
