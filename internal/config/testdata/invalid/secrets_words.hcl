appliance {
  interface = "eth0"
}
provisioning {
  secrets   = "anyone" # WARNING: Secrets for anyone
  http_auth = "basic"  # WARNING: Password in the clear
}
