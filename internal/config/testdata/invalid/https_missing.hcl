appliance {
  interface = "eth0"
}
provisioning {
  scheme  = "https"       # WARNING: Missing https block
  secrets = "certificate" # WARNING: Missing client_ca
}
