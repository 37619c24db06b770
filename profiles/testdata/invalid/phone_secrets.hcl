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
phone "000413000003" {
  model   = "snomD785"
  secrets = "anyone" # WARNING: Secrets for anyone
}
