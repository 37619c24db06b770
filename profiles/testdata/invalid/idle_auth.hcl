appliance {
  interface = "eth0"
}
provisioning {
  http_auth = "digest" # WARNING: Credentials that nobody has
}
profile "out" {
  http_client {} # of no phone
}
phone "000413000001" {
  model = "snomD785"
}
phone "000413000002" {
  model = "snomD785"
  settings {
    http_client_user = "no password"
  }
}
