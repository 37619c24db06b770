appliance {
  interface = "eth0"
}
phone "000413000001" {
  model   = "snomD785"
  secrets = "certificate" # WARNING: Missing client_ca
}
phone "000413000002" {
  model   = "snomD785"
  secrets = "password" # ERROR: Invalid secrets
}
